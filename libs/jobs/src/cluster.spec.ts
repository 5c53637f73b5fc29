import { RedisCluster, type RedisServer } from '@segue/local-system';
import { PREFIX } from '@segue/redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askThrough, freeze, kill } from './failover.fixture.js';
import { useJobs, type OpenedJobs } from './jobs.fixture.js';

const fixture = useJobs();
let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await RedisCluster.start({ nodeTimeoutMs: 1_000 });
});
afterAll(() => cluster.stop());

/** What happens to the master. */
type Fault = (master: RedisServer, jobs: OpenedJobs) => Promise<void>;

const FAULTS: readonly [string, Fault][] = [
  ['gives them to another', () => cluster.moveSlotOf(PREFIX)],
  ['hangs', (master, jobs) => freeze(fixture, master, jobs)],
  ['is killed', kill],
];

test.for(FAULTS)(
  'jobs go on when the master that has them %s',
  { timeout: 120_000 },
  async ([, happens], { annotate }) => {
    const master = await cluster.masterOf(PREFIX);
    const { course, wrong } = await askThrough(fixture, { url: cluster.url }, (jobs) => happens(master, jobs));
    expect(wrong).toEqual([]);
    await annotate(course);
  },
);
