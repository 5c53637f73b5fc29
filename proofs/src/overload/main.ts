import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { runOverload } from './run-overload.js';
import { endWithSignals } from '../end-with-signals.js';

endWithSignals();

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const command = new Command('npm run overload --')
  .description('More than can be answered, and more who listen than usual.')
  .option('--seconds <n>', 'of each rate', Number, 15)
  .option('--streams <n>', 'of events, open at the same time', Number, 1_000)
  .option('--max-wait <ms>', 'that whoever is let in may have to wait (SEGUE_MAX_WAIT_MS)', Number, 0)
  .option('--model <name>', 'bundle in models/', 'tiny-random')
  .parse();
const { model, ...options } = command.opts<{ seconds: number; streams: number; maxWait: number; model: string }>();

const ms = (value: number) => (Number.isFinite(value) ? value.toFixed(0) : '–');
const titles = [
  'x capacity',
  'sent',
  'answered',
  'p50 ms',
  'p99 ms',
  'refused',
  'p50 ms',
  'p99 ms',
  'else',
  'gateway MB',
  'recovered ms',
];
console.log(`| ${titles.join(' | ')} |\n|${' --: |'.repeat(titles.length)}`);
const { capacity, streams } = await runOverload({
  ...options,
  bundleDir: join(ROOT, 'models', model),
  rates: [0.5, 0.8, 1, 2, 5],
  onRate: ({ rate, sent, answered, p50, p99, refused, refusedP50, refusedP99, failed, megabytes, recoveredMs }) => {
    const others = Object.entries(failed).map(([code, count]) => `${count} ${code}`);
    const cells = [
      rate,
      sent,
      answered,
      ms(p50),
      ms(p99),
      refused,
      ms(refusedP50),
      ms(refusedP99),
      others.join(', ') || 0,
    ];
    console.log(`| ${[...cells, megabytes, ms(recoveredMs)].join(' | ')} |`);
  },
});
console.log(`\nCapacity: ${capacity.toFixed(1)} requests a second of eight clients.`);
const { megabytesBefore, megabytesOpen, besideMs, told, toldMs, broken, unread } = streams;
console.log(
  `${streams.streams} event streams, ${unread} of them not read: gateway ${megabytesBefore} → ${megabytesOpen} MB; a request beside ` +
    `them took ${ms(besideMs)} ms; ${told} were told of the end, the last after ${ms(toldMs)} ms; ${broken} broke off.`,
);
