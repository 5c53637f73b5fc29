import type { Profiler } from 'node:inspector';
import { expect, it } from 'vitest';
import { drawFlameGraph, framesOf } from './flame-graph.js';

const node = (id: number, functionName: string, children: number[] = [], url = ''): Profiler.ProfileNode => ({
  id,
  callFrame: { functionName, url, scriptId: '0', lineNumber: 0, columnNumber: 0 },
  children,
});

/** `ask` takes 3 ms, of which `sum` takes 2 in two samples; then nothing runs for 5 ms, and `ask` again for 1. */
const PROFILE: Profiler.Profile = {
  nodes: [
    node(1, '(root)', [2, 4]),
    node(2, 'ask', [3], 'file:///here/apps/gateway/dist/ask.js'),
    node(3, 'sum', [], 'file:///here/node_modules/@scope/adder/index.js'),
    node(4, '(idle)'),
  ],
  startTime: 1_000_000,
  endTime: 1_009_000,
  samples: [2, 3, 3, 4, 2, 4],
  timeDeltas: [0, 1000, 1000, 1000, 5000, 1000],
};

it('adds up samples of the same calls, without idle time', () => {
  const all = framesOf(PROFILE);
  expect(all.total).toBe(4000);
  const ask = all.called.get('ask apps/gateway/ask.js:1');
  expect(ask?.total).toBe(4000);
  expect(ask?.called.get('sum @scope/adder')?.total).toBe(2000);
});

it('counts what lies between two times alone', () => {
  expect(framesOf(PROFILE, 1_000_500, 1_002_500).total).toBe(2000);
});

it('draws each frame as wide as its share', () => {
  const svg = drawFlameGraph(framesOf(PROFILE), 'a <title>', 2);
  const width = (name: string) =>
    Number(new RegExp(`<title>${name}[^<]*</title><rect[^>]* width="([\\d.]+)"`).exec(svg)?.[1]);
  expect(svg).toContain('a &lt;title&gt;');
  expect(width('sum') / width('ask')).toBeCloseTo(0.5, 2);
  expect(svg).toContain('sum @scope/adder: 1.00 ms, 50.0 %');
});
