import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Reply } from './contestants/contestant.js';
import { closedLoop, openLoop } from './load.js';
import type { Question } from './workload.js';

const questions: Question[] = Array.from({ length: 12 }, (_, index) => ({
  picture: new Uint8Array(),
  instruction: String(index),
}));
const reply: Reply = { text: 'two words', masks: [] };

describe('the closed loop', () => {
  it('has as many questions in flight as there are clients, and asks each once', async () => {
    let [running, most] = [0, 0];
    const asked: string[] = [];
    const ask = async ({ instruction }: Question) => {
      asked.push(instruction);
      most = Math.max(most, ++running);
      await sleep(5);
      running--;
      return reply;
    };
    const { samples } = await closedLoop(ask, questions, 3);
    expect(most).toBe(3);
    expect(asked).toEqual(questions.map(({ instruction }) => instruction));
    expect(samples).toHaveLength(12);
  });

  it('keeps what failed as an error', async () => {
    const { samples } = await closedLoop(() => Promise.reject(new Error('full')), questions, 1);
    expect(samples.map(({ error }) => error)).toEqual(questions.map(() => 'Error: full'));
  });
});

describe('the open loop', () => {
  it('lets questions arrive while others wait, and counts waiting from the planned arrival', async () => {
    let running = 0;
    let queue = Promise.resolve();
    const ask = async () => {
      running++;
      // One at a time, each 30 ms: arrivals at 200 a second pile up.
      queue = queue.then(() => sleep(30));
      await queue;
      return reply;
    };
    const { samples } = await openLoop(ask, questions, 200, 0.5);
    expect(running).toBe(12);
    const latencies = samples.map(({ latencyMs }) => latencyMs);
    expect(Math.max(...latencies)).toBeGreaterThan(150);
  });
});
