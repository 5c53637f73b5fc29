import { encodeMask } from '@segue/core';
import { expect, it } from 'vitest';
import { photo, useGateway } from '../gateway.fixture.js';

const fixture = useGateway();
const [HEIGHT, WIDTH] = [6_144, 8_192];

it('others are answered while many ask for a mask of 50 megapixels', async () => {
  const { client, url } = fixture.gateway;
  const mask = encodeMask(new Uint8Array(HEIGHT * WIDTH).fill(1, 1_000_000), HEIGHT, WIDTH);
  const { decode } = fixture.stages;
  fixture.stages.decode = async (context) => ({ ...(await decode(context)), mask });
  const { jobId } = await client.segment({ image: await photo(), instruction: 'Where is the cup?' });

  const began = performance.now();
  let [open, longestMs] = [true, 0];
  const masks = Promise.all(
    Array.from({ length: 20 }, async () => {
      const response = await fetch(`${url}/v1/jobs/${jobId}/segments/0.png`);
      return `${response.status}, ${(await response.arrayBuffer()).byteLength} bytes`;
    }),
  ).finally(() => (open = false));
  while (open) {
    const askedAt = performance.now();
    await fetch(`${url}/healthz/live`);
    longestMs = Math.max(longestMs, performance.now() - askedAt);
  }
  expect([...new Set(await masks)]).toEqual([expect.stringMatching(/^200, \d+ bytes$/)]);
  // Made in the gateway's own thread, they would hold up all others until the last one is there.
  expect(longestMs).toBeLessThan((performance.now() - began) / 2);
});
