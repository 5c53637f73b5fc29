import { afterAll, beforeEach, expect, it, vi } from 'vitest';
import type { Answer, JobEvent, Segment } from '../service/bodies.js';

/** Masks are painted by a thread, of which the browser alone has any; this one paints when the test says so. */
class Painter {
  static readonly asked: { readonly id: number }[] = [];
  static #tell: (event: object) => void;

  addEventListener(_type: string, listener: (event: object) => void): void {
    Painter.#tell = listener;
  }

  postMessage(request: { readonly id: number }): void {
    Painter.asked.push(request);
  }

  static paint(which: number): void {
    const id = Painter.asked[which]?.id;
    Painter.#tell({ data: { id, output: { bitmap: `picture ${which}`, ends: new Float64Array(1) } } });
  }
}

vi.stubGlobal('Worker', Painter);
const { Turn } = await import('./turn.js');
beforeEach(() => void Painter.asked.splice(0));
afterAll(() => vi.unstubAllGlobals());

const segment = (index: number, phrase: string): Segment => ({
  index,
  phrase,
  span: [0, 1],
  mask: { size: [1, 1], counts: '01' },
  box: [0, 0, 1, 1],
  area: 1,
  score: 0.5,
});
const answer = (text: string, segments: readonly Segment[]): Answer => ({
  job_id: 'j',
  text,
  segments,
  model: 'm@1',
  timings_ms: { queue: 0, encode: 0, generate: 0, decode: 0, total: 0 },
  cache: { image: false, prefix: false },
  image_id: 'i',
});

function taken(...events: readonly JobEvent[]): InstanceType<typeof Turn> {
  const turn = new Turn('Where is the cup?');
  for (const event of events) turn.take(event);
  return turn;
}

it('drops words and masks where the answer begins anew', () => {
  const first: JobEvent[] = [
    { type: 'text', offset: 0, text: 'The cup <SEG> and the spoon' },
    { type: 'segment', segment: segment(0, 'the cup') },
  ];
  const turn = taken(...first, { type: 'restarted' });
  expect([turn.text.value, turn.segments.value]).toEqual(['', []]);
  turn.take({ type: 'text', offset: 0, text: 'Nothing.' });
  turn.take({ type: 'completed', answer: answer('Nothing.', []) });
  expect([turn.text.value, turn.segments.value, turn.state.value]).toEqual(['Nothing.', [], 'done']);
});

it('shows no mask of the first answer in the second one, however late it is painted', async () => {
  const turn = taken(
    { type: 'segment', segment: segment(0, 'the cup') },
    { type: 'restarted' },
    { type: 'segment', segment: segment(0, 'the spoon') },
  );
  const shown = () => turn.segments.value.map(({ phrase, painted }) => [phrase, painted?.bitmap]);
  Painter.paint(1);
  await expect.poll(shown).toEqual([['the spoon', 'picture 1']]);
  Painter.paint(0);
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(shown()).toEqual([['the spoon', 'picture 1']]);
});
