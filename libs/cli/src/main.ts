import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { AskOptions } from './ask.js';
import type { BatchOptions } from './batch.js';
import { FORMATS } from './formats.js';
import type { ServiceOptions } from './service-commands.js';

// What a command needs is loaded when it is called, so that help comes at once.

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const url = () => new Option('--url <url>', 'address of the service').default('http://127.0.0.1:8080').env('SEGUE_URL');

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

Exit status: 0 done, 1 failed, 2 wrong request, 3 not found, 4 service away or full, 5 too late, 130 cancelled.`,
  );

program
  .command('ask')
  .description('ask one question about photos')
  .usage('[options] PHOTO... "QUESTION"')
  .argument('<photo...>', 'files, folders, patterns or - for standard input; then the question')
  .addOption(url())
  .option('--json', 'print one line of JSON a photo')
  .option('--out <folder>', 'write overlays and masks there')
  .addOption(new Option('--format <format>', 'how masks are written').choices(FORMATS).default('rle'))
  .option('--model <name>', 'model to ask')
  .option('--timeout <ms>', 'time allowed for each answer', wholeNumber)
  .action((words: string[], options: AskOptions) => end(async () => (await import('./ask.js')).ask(words, options)));

program
  .command('batch')
  .description('ask the questions of a file, one {"photo": ..., "question": ...} a line; go on where it was stopped')
  .argument('<questions.jsonl>', 'photos are named relative to this file')
  .addOption(url())
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
  .action((photo: string, question: string, options: ServiceOptions) =>
    end(async () => (await commands()).submit(photo, question, options)),
  );
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
    .action((id: string, options: ServiceOptions) => end(async () => (await commands())[name](id, options)));
}

program
  .command('models')
  .description('list the models that can be asked')
  .addOption(url())
  .option('--json', 'one line of JSON a model')
  .action((options: ServiceOptions & { json?: boolean }) => end(async () => (await commands()).models(options)));

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
