import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { photo, signal, until, useGateway } from '../gateway.fixture.js';

const fixture = useGateway();
/** Longer than a command of the gateway may take, and than the time after which every watcher looks by itself. */
const AWAY_MS = 7_500;
const WATCHERS = 50;

it('watchers hear of the end of a job whose Redis was silent for a while', { timeout: 60_000 }, async () => {
  const { gateway, stages, redis } = fixture;
  const [begun, go] = [signal(), signal()];
  const generate = stages.generate;
  stages.generate = async (context) => {
    begun.give();
    await Promise.race([go.given, until(context.signal)]);
    return generate(context);
  };
  const { jobId } = await gateway.client.jobs.submit({ image: await photo(), instruction: 'Where is the cup?' });
  await begun.given;

  // Plain streams: nobody takes them up again when they break.
  const url = `${gateway.url}/v1/jobs/${jobId}/events`;
  let listening = 0;
  const overHttp = Array.from({ length: WATCHERS }, async () => {
    let text = '';
    for await (const chunk of (await fetch(url)).body ?? []) {
      if (text === '') listening++;
      text += Buffer.from(chunk).toString();
    }
    return /event: (\w+)\n.*\n\n$/.exec(text)?.[1];
  });
  const overGrpc = Array.from({ length: WATCHERS }, async () => {
    let last: string | undefined;
    for await (const { event } of gateway.grpc.watchJob({ jobId })) {
      if (last === undefined) listening++;
      last = event.case;
    }
    return last;
  });
  const ends = Promise.allSettled([...overHttp, ...overGrpc]);
  await expect.poll(() => listening, { timeout: 10_000 }).toBe(2 * WATCHERS);

  redis.program.pause();
  await sleep(AWAY_MS);
  redis.program.resume();
  go.give();

  const broken = (await ends).filter((end) => end.status === 'rejected' || end.value !== 'completed');
  expect(broken).toEqual([]);
});
