import { expect, it } from 'vitest';
import { checkLines } from './batch-lines.js';

const ENDPOINT = '/v1/segment';
const line = (id: string, keys: number) => {
  const body = Array.from({ length: keys }, (_, i) => `"key${i}":0`).join();
  return `{"custom_id":"${id}","method":"POST","url":"${ENDPOINT}","body":{${body}}}`;
};

it('refuses a line of a million keys before it is parsed', async () => {
  const content = Buffer.from([line('a', 1), line('b', 1_000_000)].join('\n'));
  await expect(checkLines(content, ENDPOINT)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    reason: 'TOO_LARGE',
    message: expect.stringMatching(/^Line 2: .* at most/),
  });
});

it('lets others have their turn while it looks at a large file', async () => {
  const large = line('id', 15_000);
  const content = Buffer.from(Array.from({ length: 200 }, (_, i) => large.replace('"id"', `"${i}"`)).join('\n'));
  let [last, longestMs] = [performance.now(), 0];
  const turns = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
  }, 1);
  const began = performance.now();
  expect(await checkLines(content, ENDPOINT)).toBe(200);
  const tookMs = performance.now() - began;
  clearInterval(turns);
  longestMs = Math.max(longestMs, performance.now() - last);
  expect(longestMs).toBeLessThan(tookMs / 2);
});
