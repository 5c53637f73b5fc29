import { setTimeout as sleep } from 'node:timers/promises';
import type { SegueError } from '@segue/core';
import { RedisCluster, type RedisServer } from '@segue/local-system';
import { PREFIX } from '@segue/redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventsOf, fakeStages, newJob, request, until, useJobs, type OpenedJobs } from './jobs.fixture.js';

const fixture = useJobs();
let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await RedisCluster.start({ nodeTimeoutMs: 1_000 });
});
afterAll(() => cluster.stop());

const CLIENTS = 4;

interface Ended {
  readonly question: string;
  readonly jobId: string;
  readonly events: readonly string[];
}

/** Asks one question after the other, each until it is answered, as a client does that sends again what was not. */
async function ask(jobs: OpenedJobs, client: number, ended: Ended[], stop: AbortSignal): Promise<void> {
  for (let number = 0; !stop.aborted; number++) {
    const question = `${client}/${number}`;
    const job = newJob({ idempotencyKey: question, request: request({ instruction: question }) });
    for (let answered = false; !answered;) {
      try {
        const { jobId } = await jobs.submit(job);
        ended.push({ question, jobId, events: (await eventsOf(jobs, jobId)).map(({ type }) => type) });
        answered = true;
      } catch (error) {
        // What a master took last may be lost with it, and is NOT_FOUND then.
        if (!['UNAVAILABLE', 'NOT_FOUND'].includes((error as SegueError).code)) throw error;
        await sleep(50);
      }
    }
  }
}

/** Everything of a service on the cluster, each part on its own connections. */
function startService(): OpenedJobs {
  const open = (role: 'producer' | 'worker') => fixture.open({ url: cluster.url, role });
  const hosts = [
    open('worker').stageHost({ stage: 'encode', concurrency: 4, process: fakeStages.encode }),
    open('worker').stageHost({ stage: 'generate', concurrency: 4, process: fakeStages.generate }),
    open('worker').stageHost({ stage: 'decode', concurrency: 4, process: fakeStages.decode }),
    open('worker').answerStage({ concurrency: 4 }),
  ];
  for (const host of hosts) {
    void host.start();
    fixture.onEnd(() => host.close({ graceMs: 0 }));
  }
  const sweeper = open('worker').startSweeper({ forgottenAfterMs: 1_000 });
  fixture.onEnd(() => sweeper.stop());
  return open('producer');
}

/** What happens to the master; ends when jobs are refused. */
type Fault = (master: RedisServer, jobs: OpenedJobs) => Promise<void>;

const away = (jobs: OpenedJobs) => until(async () => !(await jobs.ping()), 5_000);

const FAULTS: readonly [string, Fault][] = [
  ['gives them to another', () => cluster.moveSlotOf(PREFIX)],
  [
    'hangs',
    async ({ program }, jobs) => {
      program.pause();
      fixture.onEnd(() => Promise.resolve(program.resume())); // it is a replica then
      await away(jobs);
    },
  ],
  [
    'is killed',
    async ({ program }, jobs) => {
      await program.kill();
      await away(jobs);
    },
  ],
];

test.for(FAULTS)(
  'jobs go on when the master that has them %s',
  { timeout: 120_000 },
  async ([, happens], { annotate }) => {
    const jobs = startService();
    await until(() => jobs.ping());
    const stop = new AbortController();
    const ended: Ended[] = [];
    const more = (count: number) => until(() => ended.length >= count, 60_000);
    const asking = Promise.all(Array.from({ length: CLIENTS }, (_, client) => ask(jobs, client, ended, stop.signal)));
    await more(CLIENTS);
    const startedAt = performance.now();
    const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);
    await happens(await cluster.masterOf(PREFIX), jobs);
    await until(() => jobs.ping(), 30_000);
    const [backAfter, before] = [seconds(), ended.length];
    await more(before + 1);
    await annotate(`there again after ${backAfter} s, a job ended after ${seconds()} s, ${before} jobs before`);
    await more(before + 2 * CLIENTS);
    stop.abort();
    await asking;
    expect(new Set(ended.map(({ jobId }) => jobId)).size).toBe(ended.length);
    for (const { question, events } of ended) {
      const count = (type: string) => events.filter((each) => each === type).length;
      expect([question, events.at(-1), count('completed'), count('segment')]).toEqual([question, 'completed', 1, 2]);
    }
  },
);
