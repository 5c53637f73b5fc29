import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { closedLoop, openLoop } from './loops.js';

const questions = Array.from({ length: 12 }, (_, index) => String(index));
const reply = 'two words';

describe('the closed loop', () => {
  it('has as many questions in flight as there are clients, and asks each once', async () => {
    let [running, most] = [0, 0];
    const asked: string[] = [];
    const ask = async (instruction: string) => {
      asked.push(instruction);
      most = Math.max(most, ++running);
      await sleep(5);
      running--;
      return reply;
    };
    const { outcomes } = await closedLoop(ask, questions, 3);
    expect(most).toBe(3);
    expect(asked).toEqual(questions);
    expect(outcomes).toHaveLength(12);
  });

  it('keeps what failed as an error', async () => {
    const { outcomes } = await closedLoop(() => Promise.reject(new Error('full')), questions, 1);
    expect(outcomes.map(({ error }) => error)).toEqual(questions.map(() => 'Error: full'));
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
    const { outcomes } = await openLoop(ask, questions, 200, 0.5);
    expect(running).toBe(12);
    const latencies = outcomes.map(({ latencyMs }) => latencyMs);
    expect(Math.max(...latencies)).toBeGreaterThan(150);
  });
});
