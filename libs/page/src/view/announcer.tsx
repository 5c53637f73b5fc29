import type { Album } from '../state/album.js';
import { plain } from './answer-text.js';

/** Tells screen readers each answer once, as a whole sentence: the words on the page come piece by piece. */
export function Announcer({ album }: { album: Album }) {
  const turn = album.current.value?.turns.value.filter(({ state }) => state.value === 'done').at(-1);
  const told = turn && `Answer to “${turn.question}”: ${plain([...turn.text.value])}`;
  return (
    <p id="announcer" class="unseen" aria-live="polite" aria-atomic="true">
      {told}
    </p>
  );
}
