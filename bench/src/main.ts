import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { writeCapacity } from './capacity/report.js';
import type { Deployment } from './contestants/contestant.js';
import { startInProcess } from './contestants/in-process.js';
import { providePython, PYTHON, startFastApi, startRay } from './contestants/python.js';
import { startSegue } from './contestants/segue.js';
import { compareAnswers, idleCost, memory, runRounds, warmUp } from './measure.js';
import { FULL, nameOf, QUICK, type Plan } from './plan.js';
import { drawProfiles } from './profile.js';
import { writeReport } from './report.js';
import { describeEnvironment, type Results } from './results.js';
import { summarise } from './statistics.js';
import { compareWithTargets } from './targets.js';
import { ROOT, STATE_FOLDER, step } from './workspace.js';
import { Workload } from './workload.js';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: string;
  readonly questions?: string;
  readonly scenarios?: string;
  readonly without: readonly string[];
  readonly out?: string;
  readonly profile?: boolean;
  readonly capacity?: string;
}

const program = new Command('npm run bench --')
  .description(
    'Measures Segue beside what people would use instead, with the same model, pictures, questions and threads.',
  )
  .option('--quick', 'one round of a few questions: shows that everything works')
  .option('--rounds <n>', 'rounds of all contestants')
  .option('--questions <n>', 'questions of a contestant in one scenario of a round')
  .option('--scenarios <pattern>', 'only scenarios whose name matches the regular expression')
  .option('--without <name...>', 'leave out ray, fastapi, pipeline or segue', [])
  .option('--profile', 'only flame graphs of what the apps do, as profile-APP.svg')
  .option('--out <folder>', 'where the results go')
  .option('--capacity <folder>', 'measure nothing: set these results beside a queueing model and a simulation')
  .action(run);
try {
  await program.parseAsync();
} catch (error) {
  console.error(error);
  process.exit(1); // whatever is still being started ends with this program
}
process.exit();

async function run(options: Options): Promise<void> {
  if (options.capacity !== undefined) return addCapacity(resolve(ROOT, options.capacity));
  const plan = planOf(options);
  const out = resolve(ROOT, options.out ?? (options.quick ? join(STATE_FOLDER, 'quick') : `bench/results/${today()}`));
  if (options.profile) return drawProfiles(out, plan.questions);
  mkdirSync(out, { recursive: true });
  providePython();
  const environment = describeEnvironment(`npm run bench -- ${process.argv.slice(2).join(' ')}`.trim());
  const deployments: Deployment[] = [];
  try {
    const measured = await Promise.race([measure(plan, options.without, deployments), interruption()]);
    const results: Results = { environment, ...measured };
    const summaries = summarise(results.cells);
    const targets = compareWithTargets(results, summaries);
    writeFileSync(join(out, 'results.json'), JSON.stringify({ ...results, summaries, targets }, rounded));
    writeFileSync(join(out, 'README.md'), writeReport(results, summaries, targets));
    const plots = spawnSync(PYTHON, [join(ROOT, 'bench/python/plots.py'), out], { stdio: 'inherit' });
    if (plots.status !== 0) throw new Error('the plots were not drawn: see above');
    console.table(targets);
    step(`Results: ${out}/README.md`);
  } finally {
    step('Stopping');
    await Promise.all(deployments.map((deployment) => deployment.stop()));
  }
}

/** Writes `capacity.md` beside the results. */
function addCapacity(folder: string): void {
  const results = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as Results;
  const file = join(folder, 'capacity.md');
  writeFileSync(file, writeCapacity(results));
  step(`Capacity: ${file}`);
}

async function measure(plan: Plan, without: readonly string[], deployments: Deployment[]) {
  const start = async <D extends Deployment>(name: string, begin: () => Promise<D>): Promise<D | undefined> => {
    if (without.includes(name)) return undefined;
    step(`Starting ${name}`);
    const deployment = await begin();
    deployments.push(deployment);
    return deployment;
  };
  const pipeline = await start('pipeline', () => startInProcess('pipeline'));
  const bare = await start('bare', () => startInProcess('bare'));
  const segue = await start('segue', () => startSegue());
  await start('ray', startRay);
  await start('fastapi', startFastApi);
  const contestants = deployments.flatMap((deployment) => deployment.contestants);
  const workload = new Workload();
  step('Comparing answers');
  const agreement = await compareAnswers(contestants, workload, plan.compared);
  console.table(agreement);
  const warm: Record<string, number[]> = {};
  for (const contestant of contestants) {
    step(`Warming up ${contestant.name}`);
    warm[contestant.name] = await warmUp(contestant, workload, plan.warmUp);
  }
  step('Watching everyone idle');
  const idle = await idleCost(contestants, plan.idleMs);
  const words = { one: NaN, eight: NaN };
  if (pipeline) {
    words.one = await pipeline.tokensPerSecond(1);
    words.eight = await pipeline.tokensPerSecond(8);
  }
  const languageRuns = (await bare?.languageRuns()) ?? [];
  if (segue) step('Starting one more of each app');
  const starts = await segue?.starts?.();
  const cells = await runRounds(contestants, workload, plan);
  return {
    agreement,
    warmUp: warm,
    idle,
    words,
    languageRuns,
    ...(starts && { starts }),
    cells,
    memory: memory(contestants),
  };
}

/** Numbers to three decimal places, which keeps the file small. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
}

/** Rejects at Ctrl-C or SIGTERM, so that everything is stopped. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => reject(new Error(`ended by ${signal}`)));
  });
}

function planOf({ quick, rounds, questions, scenarios }: Options): Plan {
  const plan = quick ? QUICK : FULL;
  const pattern = new RegExp(scenarios ?? '');
  return {
    ...plan,
    rounds: Number(rounds ?? plan.rounds),
    questions: Number(questions ?? plan.questions),
    scenarios: plan.scenarios.filter((scenario) => pattern.test(nameOf(scenario))),
  };
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}
