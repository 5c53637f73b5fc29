import { Jobs } from '@segue/jobs';
import { openRedis } from '@segue/redis';
import { Command } from 'commander';
import { runCommand } from './terminal.js';

const KEPT_MS = 3_600_000;
const log = { info: () => undefined, warn: console.error, error: console.error };

/** Runs an action on the jobs of the Redis that the command names. */
async function withJobs(action: (jobs: Jobs) => Promise<void>): Promise<void> {
  await runCommand(async () => {
    const redis = openRedis({ url: command.opts<{ redis: string }>().redis, role: 'worker', log });
    const jobs = new Jobs(redis, { jobKeepMs: KEPT_MS });
    try {
      await action(jobs);
      return 0;
    } finally {
      await jobs.close();
      redis.close();
    }
  });
}

const command = new Command('npm run dead-letters --')
  .description('Tasks that are not tried any more, because they ended the process in every run or cannot be read.')
  .option('--redis <url>', 'of the service', process.env['SEGUE_REDIS_URL'] ?? 'redis://127.0.0.1:6379');

command
  .command('list')
  .description('one line for each, the newest first: when, job, queue, deaths, workers that died, reason')
  .action(() =>
    withJobs(async (jobs) => {
      for (const { atMs, jobId, queue, deaths, diedIn = [], reason } of await jobs.deadLetters.list()) {
        console.log([new Date(atMs).toISOString(), jobId, queue, deaths, diedIn.join(), reason].join('\t'));
      }
    }),
  );
command
  .command('show')
  .argument('<job>')
  .description('all that is kept of one: letters and record')
  .action((jobId: string) =>
    withJobs(async (jobs) => {
      const letters = await jobs.deadLetters.of(jobId);
      const record = await jobs.get(jobId).catch((error: unknown) => String(error));
      console.log(JSON.stringify({ letters, record }, undefined, 2));
    }),
  );
command
  .command('replay')
  .argument('<job>')
  .description('makes a new job of it, and strikes it off')
  .action((jobId: string) => withJobs(async (jobs) => console.log(await jobs.replay(jobId))));
command
  .command('drop')
  .argument('<job>')
  .description('strikes it off')
  .action((jobId: string) => withJobs(async (jobs) => console.log(`${await jobs.deadLetters.drop(jobId)} dropped`)));

await command.parseAsync();
