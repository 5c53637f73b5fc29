import { DOUBT_BELOW } from '@segue/core/score';
import type { Conversation } from '../state/conversation.js';
import { same } from '../state/conversation.js';
import type { ShownSegment, Turn } from '../state/turn.js';

interface Props {
  readonly turn: Turn;
  readonly conversation: Conversation;
}

/** The words of an answer, each phrase in the colour of its mask as soon as that is there. */
export function AnswerText({ turn, conversation }: Props) {
  const points = [...turn.text.value];
  const pieces = [];
  let position = 0;
  for (const segment of turn.segments.value) {
    const [start, end] = segment.span;
    if (start < position || end <= start || end > points.length) continue;
    pieces.push(plain(points.slice(position, start)));
    pieces.push(
      <Phrase
        key={segment.index}
        segment={segment}
        words={plain(points.slice(start, end))}
        turn={turn}
        conversation={conversation}
      />,
    );
    position = end;
  }
  return (
    <>
      {pieces}
      {plain(points.slice(position))}
    </>
  );
}

function Phrase({ segment, words, turn, conversation }: Props & { segment: ShownSegment; words: string }) {
  const mark = { turn, index: segment.index };
  const point = (): void => void (conversation.pointed.value = mark);
  const leave = (): void => void (conversation.pointed.value = undefined);
  const doubtful = segment.score < DOUBT_BELOW;
  const percent = Math.round(segment.score * 100);
  return (
    <>
      <button
        type="button"
        class={`phrase${same(conversation.lit.value, mark) ? ' lit' : ''}${doubtful ? ' doubtful' : ''}`}
        data-index={segment.index}
        style={{ '--mask': segment.colour }}
        aria-pressed={same(conversation.chosen.value, mark)}
        title={`Score ${segment.score.toFixed(2)}, ${segment.area} pixels`}
        onClick={() => conversation.choose(mark)}
        onPointerEnter={point}
        onPointerLeave={leave}
        onFocus={point}
        onBlur={leave}
      >
        {words || '●'}
      </button>
      <small class="score">{doubtful ? `not sure, ${percent} %` : `${percent} %`}</small>
    </>
  );
}

/** `<SEG>` stands for a mask, which is seen on the picture instead. */
export function plain(points: readonly string[]): string {
  return points.join('').replaceAll(/ ?<SEG>/g, '');
}
