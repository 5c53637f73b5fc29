import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { FAULTS, type FaultName } from './faults.js';
import { table, verdict } from './report.js';
import { runChaos } from './run-chaos.js';
import { endWithSignals } from '../end-with-signals.js';

endWithSignals();

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const count = (text: string): number => {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('It must be a whole number.');
  return number;
};

const command = new Command('npm run chaos --')
  .description('Two of every app, and things that go wrong one after the other while jobs come: is every job kept?')
  .option('--jobs <n>', 'in all', count, 1_000)
  .option('--seed <n>', 'the same seed gives the same plan', count, 1)
  .option('--model <name>', 'bundle in models/', 'tiny-random')
  .addOption(new Option('--faults <name...>', 'only these').choices(Object.keys(FAULTS)))
  .option('--log', 'what the apps say')
  .parse();
interface Options {
  readonly jobs: number;
  readonly seed: number;
  readonly model: string;
  readonly faults?: readonly FaultName[];
  readonly log?: true;
}
const { model, log, ...options } = command.opts<Options>();

const begunAt = performance.now();
const seconds = () => ((performance.now() - begunAt) / 1000).toFixed(0).padStart(5);
const report = await runChaos({
  ...options,
  bundleDir: join(ROOT, 'models', model),
  onRound: ({ fault, jobs, recoveredMs, wrong }, number, of) => {
    const recovered = `recovered after ${(recoveredMs / 1000).toFixed(1)} s`;
    console.log(`${seconds()} s  ${number}/${of}  ${fault}: ${jobs} jobs, ${recovered}, ${wrong.length} wrong`);
    for (const what of wrong.slice(0, 10)) console.log(`         ${what}`);
  },
  ...(log && { onLine: (program, line) => console.log(`[${program}] ${line}`) }),
});
const file = join(ROOT, '.segue', `chaos-${options.seed}.json`);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, JSON.stringify({ ...options, model, ...report }, undefined, 1));
console.log(`\n${table(report)}\n\n${verdict(report)}\nAll of it is in ${file}.`);
// gRPC clients keep an idle connection for a quarter of an hour.
process.exit(report.left.length > 0 || report.rounds.some(({ wrong }) => wrong.length > 0) ? 1 : 0);
