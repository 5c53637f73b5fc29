import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Conversation } from '../state/conversation.js';
import { TurnCard } from './turn-card.js';

/** The conversation about one picture; the newest answer is kept in sight. */
export function Turns({ conversation }: { conversation: Conversation }) {
  const list = useRef<HTMLOListElement>(null);
  const turns = conversation.turns.value;
  const newest = turns.at(-1);
  const grown = [newest?.key, newest?.text.value.length, newest?.state.value].join();
  useLayoutEffect(() => list.current?.lastElementChild?.scrollIntoView({ block: 'nearest' }), [grown]);
  return (
    <ol id="turns" ref={list} tabIndex={turns.length > 0 ? 0 : -1} aria-label="Questions and answers">
      {turns.map((turn) => (
        <TurnCard key={turn.key} turn={turn} conversation={conversation} />
      ))}
    </ol>
  );
}
