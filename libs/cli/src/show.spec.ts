import type { Answer, JobEventBody } from '@segue/client';
import { expect, it } from 'vitest';
import { showWords } from './show.js';

const EVENTS: JobEventBody[] = [
  { type: 'text', offset: 0, text: 'The cup and' },
  { type: 'restarted' },
  { type: 'text', offset: 0, text: 'The cup.' },
  { type: 'completed', answer: { text: 'The cup.' } as Answer },
];

function shown(isTTY: boolean): string {
  let text = '';
  const out = { isTTY, write: (more: string | Uint8Array) => (text += String(more)) !== '' };
  for (const event of EVENTS) showWords(event, out);
  return text;
}

it('tells a person that an answer begins anew, and gives a file the last one alone', () => {
  expect(shown(true)).toBe('The cup and\nA worker was lost. The answer begins anew:\nThe cup.\n');
  expect(shown(false)).toBe('The cup.\n');
});
