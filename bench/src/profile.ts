import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Profiler } from 'node:inspector';
import { startSegue } from './contestants/segue.js';
import { drawFlameGraph, framesOf } from './flame-graph.js';
import { closedLoop } from './load.js';
import { Workload } from './workload.js';
import { STATE_FOLDER, step } from './workspace.js';

/** Questions before those that are drawn. */
const WARM_UP = 40;
/** Microseconds between two samples. */
const INTERVAL = 250;

/** Flame graphs of what each app's JavaScript does for questions of one client about new pictures: `profile-APP.svg` in `out`. */
export async function drawProfiles(out: string, count: number): Promise<void> {
  const kept = join(STATE_FOLDER, 'profiles');
  rmSync(kept, { recursive: true, force: true });
  step('Starting segue with the profiler');
  const segue = await startSegue((name) => [
    '--cpu-prof',
    `--cpu-prof-interval=${INTERVAL}`,
    `--cpu-prof-dir=${join(kept, name)}`,
  ]);
  let [from, to] = [0, 0];
  try {
    const [contestant] = segue.contestants;
    if (!contestant) throw new Error('Segue takes no part.');
    const workload = new Workload();
    step('Warming up');
    await closedLoop(contestant.ask, await workload.questions(WARM_UP, 'one target', 'new'), 1);
    step(`Asking ${count} questions`);
    const questions = await workload.questions(count, 'one target', 'new');
    from = now();
    await closedLoop(contestant.ask, questions, 1);
    to = now();
  } finally {
    await segue.stop(); // the profiles are written as the apps end
  }
  mkdirSync(out, { recursive: true });
  for (const name of readdirSync(kept)) {
    // The main thread's profile is written first; of the others there is none, or one of the time that they waited.
    const [file] = readdirSync(join(kept, name)).sort();
    if (file === undefined) throw new Error(`${name} wrote no profile.`);
    const profile = JSON.parse(readFileSync(join(kept, name, file), 'utf8')) as Profiler.Profile;
    const frames = framesOf(profile, from, to);
    const title = `${name}: ${(frames.total / 1000 / count).toFixed(1)} ms a question, ${count} questions`;
    const target = join(out, `profile-${name}.svg`);
    writeFileSync(target, drawFlameGraph(frames, title, count));
    step(`${title}: ${target}`);
  }
}

/** Microseconds of the clock that profiles count by. */
function now(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
