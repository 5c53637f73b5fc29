import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { LocalSystem } from '@segue/local-system';
import { publicPort } from './ports.js';
import { provideRedisProgram } from './system-packages.js';
import { Advice, coloured, paint, runCommand, step, type Colour } from './terminal.js';
import { ADDRESS_FILE, ROOT, STATE_FOLDER } from './workspace.js';

const EXAMPLE = { photo: join(ROOT, 'examples/coffee.jpg'), question: 'Where could I pour a drink?' };
const COLOURS: Readonly<Record<string, Colour>> = {
  gateway: 'blue',
  'encoder-worker': 'cyan',
  'llm-worker': 'magenta',
  'decoder-worker': 'yellow',
};
const NAME_WIDTH = 'encoder-worker'.length;

const options = new Command('npm start --')
  .description('Starts Redis and the four apps, asks one question about an example photo, and serves until Ctrl-C.')
  .option('--once', 'end after the first answer')
  .parse()
  .opts<{ once?: boolean }>();

await runCommand(async () => {
  const bundleDir = findModel();
  const redisUrl = process.env['REDIS_URL'] ?? process.env['SEGUE_REDIS_URL'];
  if (redisUrl === undefined) provideRedisProgram();
  const interrupt = interruption();

  step(`Starting ${redisUrl === undefined ? 'Redis and ' : ''}the four apps; the models are loaded and warmed up`);
  if (redisUrl !== undefined) step('Using the Redis of REDIS_URL');
  let system: LocalSystem;
  try {
    system = await LocalSystem.start({
      bundleDir,
      redis: redisUrl ?? { durable: true },
      env: {
        // Who starts it on a machine of their own wants to look into it, and at the jobs.
        SEGUE_API_DOCS: 'public',
        SEGUE_LIST_PUBLIC_JOBS: 'on',
        ...process.env,
        SEGUE_LOG_FORMAT: 'pretty',
        ...(coloured && { FORCE_COLOR: '1' }),
      },
      httpPort: await publicPort('SEGUE_HTTP_PORT', 8080, 'HTTP'),
      grpcPort: await publicPort('SEGUE_GRPC_PORT', 50051, 'gRPC'),
      signal: interrupt,
      onLine: show,
    });
  } catch (error) {
    if (interrupt.aborted) return 0;
    throw new Advice((error as Error).message);
  }
  try {
    return await Promise.race([serve(system), once(interrupt)]);
  } finally {
    step('Stopping');
    rmSync(ADDRESS_FILE, { force: true });
    await system.stop();
  }
});

async function serve(system: LocalSystem): Promise<number> {
  const { url, adminUrl, grpcAddress } = system.app('gateway');
  mkdirSync(STATE_FOLDER, { recursive: true });
  writeFileSync(ADDRESS_FILE, url);
  step('Ready. Asking about an example photo');
  await ask(url);
  if (options.once) return 0;
  console.log(`
${paint('bold', 'Segue is serving.')} Ctrl-C stops it.
  Page     ${url}
  API      ${url}/docs
  gRPC     ${grpcAddress}
  Metrics  ${adminUrl}/metrics
  Ask      npm run ask -- PHOTO "QUESTION"
`);
  const ended = await system.firstEnded();
  const why = ended.name === 'redis' ? `:\n${ended.output}` : ': see its lines above.';
  throw new Advice(`${ended.name} ${ended.ended ?? 'ended'}${why}`);
}

/** Asks as a newcomer would, with the program for it; what it says comes at once, not between the lines of the apps. */
async function ask(url: string): Promise<void> {
  const { photo, question } = EXAMPLE;
  console.log(`${paint('bold', basename(photo))} · ${question}`);
  const program = join(ROOT, 'libs/cli/bin/segue.js');
  const asked = promisify(execFile)(process.execPath, [program, 'ask', photo, question, '--url', url]);
  const { stdout, stderr } = await asked.catch((error: { readonly stderr: string }) => {
    throw new Advice(`The first question was not answered: ${error.stderr.trim()}`);
  });
  process.stdout.write(stdout + stderr);
}

/** @throws Advice when the bundle that is to be served is not there. */
function findModel(): string {
  const folder = join(
    process.env['SEGUE_MODELS_DIR'] ?? join(ROOT, 'models'),
    process.env['SEGUE_MODEL'] ?? 'segue-smol',
  );
  if (existsSync(join(folder, 'manifest.json'))) return folder;
  throw new Advice(
    `There is no model bundle in ${folder}. Train and export one (see training/README.md), or name ` +
      'another with SEGUE_MODELS_DIR and SEGUE_MODEL.',
  );
}

/** Redis warns of things that matter to servers; what it wrote is told when it ends. */
function show(program: string, line: string): void {
  if (program === 'redis') return;
  console.log(`${paint(COLOURS[program] ?? 'dim', `${program.padEnd(NAME_WIDTH)} │`)} ${line}`);
}

/** Aborted by Ctrl-C or SIGTERM; who interrupts twice ends everything at once. */
function interruption(): AbortSignal {
  const interrupted = new AbortController();
  const interrupt = () => {
    if (interrupted.signal.aborted) process.exit(1); // the programs end with this one
    interrupted.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt);
  return interrupted.signal;
}

/** Ctrl-C is the way to end, so it ends well: status 0. */
function once(interrupt: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    if (interrupt.aborted) resolve(0);
    interrupt.addEventListener('abort', () => resolve(0));
  });
}
