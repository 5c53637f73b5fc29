import { expect, test } from 'vitest';
import { SegueError } from './errors.js';
import { insist, storeAway } from './store.js';

/** A store that is away for the first times that it is asked. */
function store(times: number) {
  const heard: number[] = [];
  let asked = 0;
  return {
    heard,
    ask: () => (asked++ < times ? Promise.reject(storeAway(new Error('refused'))) : Promise.resolve(asked)),
    onAway: (_error: SegueError, pauseMs: number) => void heard.push(pauseMs),
    get asked() {
      return asked;
    },
  };
}
const { signal } = new AbortController();

test('a store that is away is asked again, after growing pauses', async () => {
  const { ask, onAway, heard } = store(2);
  expect(await insist(ask, { patienceMs: 10_000, signal, onAway })).toBe(3);
  expect(heard).toEqual([100, 200]);
});

test('patience ends, and without any it is asked once', async () => {
  const [patient, not] = [store(Infinity), store(Infinity)];
  await expect(insist(patient.ask, { ...patient, patienceMs: 350, signal })).rejects.toThrow('Try again');
  expect(patient.heard).toEqual([100, 200]);
  await expect(insist(not.ask, { ...not, patienceMs: 0, signal })).rejects.toThrow('Try again');
  expect([not.asked, not.heard]).toEqual([1, []]);
});

test('what does not pass with time is not asked again', async () => {
  const { onAway, heard } = store(0);
  const defect = () => Promise.reject(new SegueError('NOT_FOUND', 'none'));
  await expect(insist(defect, { patienceMs: 10_000, signal, onAway })).rejects.toThrow('none');
  expect(heard).toEqual([]);
});

test('many wait for one signal, which ends them all', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const ending = new AbortController();
  const waiting = Array.from({ length: 20 }, () => {
    const { ask, onAway } = store(Infinity);
    return insist(ask, { patienceMs: 60_000, signal: ending.signal, onAway });
  });
  setTimeout(() => ending.abort(new Error('this process is stopping')), 50);
  for (const one of await Promise.allSettled(waiting)) {
    expect(one).toMatchObject({ status: 'rejected', reason: { message: 'this process is stopping' } });
  }
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});
