import type { Conversation } from '../state/conversation.js';
import type { Turn } from '../state/turn.js';
import { AnswerText } from './answer-text.js';
import { TakeAway } from './take-away.js';
import { TimeBar } from './time-bar.js';

interface Props {
  readonly turn: Turn;
  readonly conversation: Conversation;
}

/** One question and its answer. */
export function TurnCard({ turn, conversation }: Props) {
  const state = turn.state.value;
  const answer = turn.answer.value;
  const hasMasks = turn.segments.value.length > 0;
  return (
    <li class={`turn ${state === 'waiting' ? 'writing' : state}`}>
      <p class="question">{turn.question}</p>
      <p class="answer">
        <AnswerText turn={turn} conversation={conversation} />
      </p>
      {state === 'failed' && (
        <p class="failure" role="alert">
          {turn.problem.value}{' '}
          <button type="button" class="link" onClick={() => void conversation.ask(turn.question)}>
            Ask again
          </button>
        </p>
      )}
      {state === 'stopped' && <p class="failure">Stopped.</p>}
      {answer && <TimeBar answer={answer} />}
      {(hasMasks || answer) && (
        <div class="actions">
          {hasMasks && (
            <label class="switch">
              <input
                type="checkbox"
                checked={turn.visible.value}
                onChange={(event) => (turn.visible.value = event.currentTarget.checked)}
              />
              Masks
            </label>
          )}
          {answer && <TakeAway turn={turn} answer={answer} conversation={conversation} />}
        </div>
      )}
    </li>
  );
}
