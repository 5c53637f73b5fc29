import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { checkModel, startApps } from './apps.js';
import { ProcessGroup } from './processes.js';
import { askAbout } from './question.js';
import { provideRedis } from './redis.js';
import { Advice, paint, runCommand, step } from './terminal.js';
import { ADDRESS_FILE, ROOT, STATE_FOLDER } from './workspace.js';

const STOP_GRACE_MS = 30_000;
const EXAMPLE = { photo: join(ROOT, 'examples/coffee.jpg'), question: 'Where could I pour a drink?' };

const options = new Command('npm start --')
  .description('Starts Redis and the four apps, asks one question about an example photo, and serves until Ctrl-C.')
  .option('--once', 'end after the first answer')
  .parse()
  .opts<{ once?: boolean }>();

await runCommand(async () => {
  checkModel();
  const apps = new ProcessGroup();
  const storage = new ProcessGroup();
  const redisFolder = join(STATE_FOLDER, `redis-${process.pid}`);
  const interrupted = new Promise<number>((resolve) => {
    let before = false;
    const interrupt = () => {
      if (before) endAtOnce(apps, storage);
      before = true;
      resolve(0); // Ctrl-C is the way to end, so it ends well
    };
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt);
  });
  try {
    return await Promise.race([interrupted, serve()]);
  } finally {
    step('Stopping');
    await apps.stop(STOP_GRACE_MS);
    await storage.stop(STOP_GRACE_MS); // last: draining apps hand back what they hold
    rmSync(ADDRESS_FILE, { force: true });
    rmSync(redisFolder, { recursive: true, force: true });
  }

  async function serve(): Promise<number> {
    mkdirSync(redisFolder, { recursive: true });
    const redisUrl = await provideRedis(storage, redisFolder);
    step('Starting the four apps; the models are loaded and warmed up');
    const { httpUrl, grpcAddress } = await startApps(redisUrl, apps);
    writeFileSync(ADDRESS_FILE, httpUrl);
    step('Ready. Asking about an example photo');
    await askAbout(httpUrl, EXAMPLE.photo, EXAMPLE.question, false);
    if (options.once) return 0;
    console.log(`
${paint('bold', 'Segue is serving.')} Ctrl-C stops it.
  Page     ${httpUrl}
  API      ${httpUrl}/docs
  gRPC     ${grpcAddress}
  Ask      npm run ask -- PHOTO "QUESTION"
`);
    const ended = await Promise.race([apps.firstEnded(), storage.firstEnded()]);
    throw new Advice(`${ended.name} ${ended.ended ?? 'ended'}: see its lines above.`);
  }
});

/** For who interrupts twice. */
function endAtOnce(...groups: readonly ProcessGroup[]): void {
  for (const group of groups) group.kill();
  process.exit(1);
}
