import type { Album } from '../state/album.js';
import type { Conversation } from '../state/conversation.js';
import { toCoco, type Annotated } from '../take-away/coco.js';
import { saveJson } from '../take-away/save.js';

/** The pictures of a batch, with what was found in each. */
export function Tray({ album }: { album: Album }) {
  const conversations = album.conversations.value;
  if (conversations.length < 2) return null;
  return (
    <>
      <ul class="tray" aria-label="Pictures">
        {conversations.map((conversation) => (
          <li key={conversation.key}>
            <button
              type="button"
              aria-current={conversation === album.current.value}
              onClick={() => (album.current.value = conversation)}
            >
              <img src={conversation.picture.url} alt={conversation.picture.name} />
              <span>{found(conversation)}</span>
            </button>
          </li>
        ))}
      </ul>
      <button
        type="button"
        class="link"
        onClick={() => saveJson(toCoco(conversations.map(annotated)), 'segue.coco.json')}
      >
        Download all as COCO
      </button>
    </>
  );
}

/** A picture with what the newest answer about it found. */
function annotated({ picture: { name, width, height }, turns }: Conversation): Annotated {
  const newest = turns.value.filter(({ state }) => state.value === 'done').at(-1);
  return { fileName: name, width, height, segments: newest?.segments.value ?? [] };
}

function found({ turns }: Conversation): string {
  const newest = turns.value.at(-1);
  if (!newest) return '';
  if (newest.running.value) return '…';
  if (newest.state.value !== 'done') return '!';
  return String(newest.segments.value.length);
}
