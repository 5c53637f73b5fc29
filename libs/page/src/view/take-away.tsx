import { useSignal } from '@preact/signals';
import { runTask } from '../masks/painter.js';
import type { Answer, Segment } from '../service/bodies.js';
import type { Conversation } from '../state/conversation.js';
import type { Turn } from '../state/turn.js';
import { CODE, type Language } from '../take-away/code.js';
import { toCoco } from '../take-away/coco.js';
import { copy, save, saveJson } from '../take-away/save.js';

interface Props {
  readonly turn: Turn;
  readonly answer: Answer;
  readonly conversation: Conversation;
}

/** An answer as files and as code. With a mask chosen, its picture files are of that mask alone. */
export function TakeAway({ turn, answer, conversation }: Props) {
  const said = useSignal('');
  const { picture } = conversation;
  const base = picture.name.replace(/\.\w+$/, '');
  const fileName = /\.\w+$/.test(picture.name) ? picture.name : `${picture.name}.${picture.blob.type.slice(6)}`;
  const segments = chosen(turn, answer, conversation);
  const masks = segments.map(({ mask }) => mask);
  const coloured = turn.segments.value.filter(({ index }) => segments.some((segment) => segment.index === index));

  const files: readonly (readonly [name: string, save: () => Promise<void> | void])[] = [
    [
      'Overlay',
      async () =>
        save(await runTask('overlay', { picture: picture.blob, masks: slim(coloured) }), `${base}.overlay.png`),
    ],
    ['Cut-out', async () => save(await runTask('cutOut', { picture: picture.blob, masks }), `${base}.cutout.png`)],
    ['Mask', async () => save(await runTask('maskPng', { masks }), `${base}.mask.png`)],
    [
      'COCO',
      () =>
        saveJson(
          toCoco([{ fileName, width: picture.width, height: picture.height, segments: answer.segments }]),
          `${base}.coco.json`,
        ),
    ],
  ];
  const act = async (done: string, action: () => Promise<void> | void): Promise<void> => {
    try {
      await action();
      said.value = done;
    } catch (error) {
      console.error(error);
      said.value = 'This did not work.';
    }
  };
  const copyAs = (language: Language): Promise<void> => {
    const service = new URL('.', location.href).href;
    return copy(CODE[language]({ service, fileName, instruction: turn.question, history: turn.history }));
  };
  return (
    <>
      <details class="menu">
        <summary>Download</summary>
        <div>
          {files
            .filter(([name]) => segments.length > 0 || name === 'COCO')
            .map(([name, action]) => (
              <button type="button" key={name} onClick={() => void act(`${name} saved.`, action)}>
                {name}
              </button>
            ))}
        </div>
      </details>
      <details class="menu">
        <summary>Copy as</summary>
        <div>
          {(Object.keys(CODE) as Language[]).map((language) => (
            <button
              type="button"
              key={language}
              onClick={() => void act(`${language} copied.`, () => copyAs(language))}
            >
              {language}
            </button>
          ))}
        </div>
      </details>
      <span class="said" role="status">
        {said.value}
      </span>
    </>
  );
}

function chosen(turn: Turn, answer: Answer, conversation: Conversation): readonly Segment[] {
  const mark = conversation.chosen.value;
  return mark?.turn === turn ? answer.segments.filter(({ index }) => index === mark.index) : answer.segments;
}

/** What the worker needs: painted masks cannot be sent twice. */
function slim(segments: Turn['segments']['value']) {
  return segments.map(({ mask, colour }) => ({ mask, colour }));
}
