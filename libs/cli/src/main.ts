import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import type { AskOptions, LocalOptions } from './ask.js';
import type { BatchOptions } from './batch.js';
import type { BenchOptions } from './bench.js';
import { SHELLS, type Shell } from './completion.js';
import type { DoctorOptions } from './doctor.js';
import { FORMATS } from './formats.js';
import type { ServiceOptions } from './connect.js';
import type { ListOptions } from './service-commands.js';
import type { TopOptions } from './top.js';

// What a command needs is loaded when it is called, so that help comes at once.

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const USUAL_URL = 'http://127.0.0.1:8080';
const MODELS = fileURLToPath(new URL('../../../models', import.meta.url));

const url = () => new Option('--url <url>', 'address of the service').default(USUAL_URL).env('SEGUE_URL');
const apiKey = () => new Option('--api-key <key>', 'key of a service that asks for one').env('SEGUE_API_KEY');
const format = () => new Option('--format <format>', 'how masks are written').choices(FORMATS).default('rle');
const models = () => new Option('--models <folder>', 'folder of models').default(MODELS).env('SEGUE_MODELS_DIR');
const model = () => new Option('--model <name>', 'model to load').default('segue-smol').env('SEGUE_MODEL');

const program = new Command('segue')
  .description('Asks Segue about photos: words, and a mask for each thing they name.')
  .version(version)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .addHelpText(
    'after',
    `
Examples:
  segue ask examples/coffee.jpg "Where could I pour a drink?"
  segue ask trip/ "Which animals are there?" --out answers --format coco
  cat photo.jpg | segue ask - "What is it?" --json | jq .text
  segue batch questions.jsonl --out coco.json
  segue local examples/cat.jpg "Segment the cat."
  source <(segue completion bash)

Exit status: 0 done, 1 failed, 2 wrong request, 3 not found, 4 service away or full, 5 too late, 130 cancelled.`,
  );

const ask = program
  .command('ask')
  .description('ask one question about photos')
  .addOption(url())
  .addOption(apiKey())
  .option('--model <name>', 'model to ask')
  .option('--timeout <ms>', 'time allowed for each answer', wholeNumber)
  .action((words: string[], options: AskOptions) => end(async () => (await import('./ask.js')).ask(words, options)));
const local = program
  .command('local')
  .description('ask without a service: the model runs in this process')
  .addOption(models())
  .addOption(model())
  .action((words: string[], options: LocalOptions) =>
    end(async () => (await import('./ask.js')).local(words, options)),
  );
for (const command of [ask, local]) {
  command
    .usage('[options] PHOTO... "QUESTION"')
    .argument('<photo...>', 'files, folders, patterns or - for standard input; then the question')
    .option('--json', 'print one line of JSON a photo')
    .option('--out <folder>', 'write overlays and masks there')
    .option('--no-preview', 'show no picture, even in a terminal that can')
    .addOption(format());
}

program
  .command('batch')
  .description('ask the questions of a file, one {"photo": ..., "question": ...} a line; go on where it was stopped')
  .argument('<questions.jsonl>', 'photos are named relative to this file')
  .addOption(url())
  .addOption(apiKey())
  .requiredOption('--out <coco.json>', 'COCO file with all masks')
  .option('--concurrency <n>', 'questions at a time', wholeNumber, 4)
  .action((file: string, options: BatchOptions) => end(async () => (await import('./batch.js')).batch(file, options)));

const jobs = program.command('jobs').description('asynchronous jobs');
const commands = () => import('./service-commands.js');
jobs
  .command('submit')
  .description('submit a job and print its id')
  .argument('<photo>')
  .argument('<question>')
  .addOption(url())
  .addOption(apiKey())
  .option('--webhook <url>', 'call this address when the job has ended')
  .action((photo: string, question: string, options: ServiceOptions & { webhook?: string }) =>
    end(async () => (await commands()).submit(photo, question, options)),
  );
jobs
  .command('list')
  .description('list jobs, the newest first')
  .addOption(url())
  .addOption(apiKey())
  .addOption(
    new Option('--state <state>', 'only jobs in this state').choices([
      'queued',
      'running',
      'completed',
      'failed',
      'cancelled',
    ]),
  )
  .option('--limit <n>', 'jobs at most', wholeNumber, 20)
  .option('--json', 'print one line of JSON a job')
  .action((options: ListOptions) => end(async () => (await commands()).list(options)));
for (const [name, description] of [
  ['get', 'print a job as JSON'],
  ['watch', 'show the words of a job as they come'],
  ['cancel', 'cancel a job'],
] as const) {
  jobs
    .command(name)
    .description(description)
    .argument('<job-id>')
    .addOption(url())
    .addOption(apiKey())
    .action((id: string, options: ServiceOptions) => end(async () => (await commands())[name](id, options)));
}

program
  .command('models')
  .description('list the models that can be asked')
  .addOption(url())
  .addOption(apiKey())
  .option('--json', 'one line of JSON a model')
  .action((options: ServiceOptions & { json?: boolean }) => end(async () => (await commands()).models(options)));

program
  .command('doctor')
  .description('check this machine and a service, and say what to do where something is missing')
  .addOption(url())
  .addOption(apiKey())
  .addOption(models())
  .addOption(model())
  .action((options: DoctorOptions) => end(async () => (await import('./doctor.js')).doctor(options)));

program
  .command('top')
  .description('show live what the stages have to do and where the time of jobs goes; ends with Ctrl-C')
  .addOption(
    new Option('--admin-url <url>', "address of a gateway's admin port")
      .default('http://127.0.0.1:8090')
      .env('SEGUE_ADMIN_URL'),
  )
  .option('--once', 'print what there is and end')
  .action((options: TopOptions) => end(async () => (await import('./top.js')).top(options)));

program
  .command('bench')
  .description('measure how fast a service answers: closed and open loop, percentiles, masks checked')
  .addArgument(new Argument('[url]', 'address of the service').default(USUAL_URL))
  .addOption(apiKey())
  .option('--clients <list>', 'clients of the closed loops, e.g. 1,4', wholeNumbers, [1, 4])
  .option('--rate <n>', 'questions a second of an open loop', positive)
  .option('--questions <n>', 'questions of each loop', wholeNumber, 40)
  .option('--photos <names...>', 'photos to take crops of', [])
  .option('--question <text>', 'what to ask', 'What is here?')
  .option('--repeated', 'ask about the same photos again and again')
  .option('--json', 'print one line of JSON a loop')
  .action((address: string, options: BenchOptions) =>
    end(async () => (await import('./bench.js')).bench(address, options)),
  );

program
  .command('completion')
  .description('print a script that completes commands and options: source <(segue completion bash), in zsh with zsh')
  .addArgument(new Argument('<shell>').choices(SHELLS))
  .action((shell: Shell) =>
    end(async () => {
      process.stdout.write((await import('./completion.js')).completionScript(program, shell));
    }),
  );

// Whoever reads may stop before the end: `segue ask ... | head -1`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

await program.parseAsync();

/** Runs a command to its exit status. */
async function end(command: () => Promise<unknown>): Promise<void> {
  try {
    const status = await command();
    process.exitCode = typeof status === 'number' ? status : 0;
  } catch (error) {
    process.exitCode = (await import('./failure.js')).report(error);
  }
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

function wholeNumbers(text: string): number[] {
  return text.split(',').map(wholeNumber);
}

function positive(text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new InvalidArgumentError('It must be a number above 0.');
}
