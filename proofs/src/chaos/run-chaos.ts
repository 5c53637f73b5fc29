import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { connect, type Asker, type Content } from './askers.js';
import { checkJob, leftovers, patiently } from './checks.js';
import { drive, type Outcome } from './driver.js';
import { FAULTS, type FaultName } from './faults.js';
import { plan, seeded, TRANSPORTS, type PlannedJob, type Round, type Transport } from './plan.js';
import { Rig } from './rig.js';

export interface ChaosOptions {
  readonly jobs: number;
  readonly seed: number;
  readonly bundleDir: string;
  readonly faults?: readonly FaultName[];
  /** Hears of every round. */
  readonly onRound?: (report: RoundReport, number: number, of: number) => void;
  readonly onLine?: (program: string, line: string) => void;
}

export interface RoundReport {
  readonly fault: FaultName;
  readonly jobs: number;
  /** How long it lasted, in milliseconds. */
  readonly lastedMs: number;
  /** From its end until every job had ended that was open then. */
  readonly recoveredMs: number;
  /** Calls that clients made again. */
  readonly repeated: number;
  /** How late deadlines were kept. */
  readonly lateMs: readonly number[];
  readonly wrong: readonly string[];
}

export interface ChaosReport {
  readonly rounds: readonly RoundReport[];
  readonly left: readonly string[];
  readonly restarts: number;
  readonly clockWasOff: boolean;
}

interface Picture {
  readonly image: Uint8Array;
  readonly instruction: string;
}

type Askers = Readonly<Record<Transport, readonly Asker[]>>;

/** Jobs under way at the same time. */
const AT_ONCE = 24;

/** Runs the plan: round by round, jobs and in their midst one thing that goes wrong; then looks at every job. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { bundleDir, onLine } = options;
  const pictures = readPictures(bundleDir);
  const rounds = plan({ ...options, questions: pictures.length });
  const rig = await Rig.start(bundleDir, onLine);
  try {
    const askersOf = (transport: Transport) => rig.clientLinks[transport].map(({ port }) => connect(transport, port));
    const askers = { http: askersOf('http'), grpc: askersOf('grpc') };
    const calm: Content[] = [];
    for (const { image, instruction } of pictures) {
      const [asker] = askers.http as [Asker];
      calm.push((await asker.call({ image, instruction, timeoutMs: 60_000 })).answer);
    }
    const reports: RoundReport[] = [];
    for (const [index, round] of rounds.entries()) {
      const report = await runRound(round, { rig, askers, pictures, calm, seed: options.seed + index });
      reports.push(report);
      options.onRound?.(report, index + 1, rounds.length);
    }
    const left = await leftovers(rig.redis.url);
    return { rounds: reports, left, restarts: rig.restarts, clockWasOff: rig.clockIsOff };
  } finally {
    await rig.stop();
  }
}

interface Stage {
  readonly rig: Rig;
  readonly askers: Askers;
  readonly pictures: readonly Picture[];
  readonly calm: readonly Content[];
  readonly seed: number;
}

async function runRound({ fault, jobs }: Round, { rig, askers, pictures, calm, seed }: Stage): Promise<RoundReport> {
  const wrong: string[] = [];
  const outcomes: Outcome[] = [];
  const run = randomUUID();
  const tell = (what: string) => (error: unknown) =>
    void wrong.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);

  let next = 0;
  let strike = (): void => undefined;
  const struck = new Promise<void>((resolve) => (strike = resolve));
  const ask = async (): Promise<void> => {
    for (let job = jobs[next++]; job; job = jobs[next++]) {
      // Some are under way when it strikes, the others come while it lasts.
      if (next * 3 > jobs.length) strike();
      const { number, transport, question } = job;
      await drive(job, askers[transport], pictures[question] as Picture, `${run}-${number}`).then(
        (outcome) => outcomes.push(outcome),
        tell(`job ${number} (${describe(job)})`),
      );
    }
  };
  const asking = Promise.all(Array.from({ length: AT_ONCE }, ask));

  await struck;
  const begunAt = performance.now();
  const [asker] = askers.http as [Asker];
  const [{ image }] = pictures as readonly [Picture];
  await FAULTS[fault]({ rig, random: seeded(seed), asker, image }).catch(tell(fault));
  const overAt = performance.now();
  await asking;
  await rig.allReady().catch(tell('the system'));

  const lateMs: number[] = [];
  for (const outcome of outcomes) {
    const { transport, gateway, question } = outcome.job;
    const other = askers[TRANSPORTS[1 - TRANSPORTS.indexOf(transport)] as Transport][1 - gateway] as Asker;
    await patiently(() => checkJob(outcome, other, calm[question] as Content)).then(
      (checked) => {
        wrong.push(...checked.faults.map((what) => `job ${outcome.job.number} (${describe(outcome.job)}) ${what}`));
        if (checked.lateMs !== undefined) lateMs.push(checked.lateMs);
      },
      tell(`looking at job ${outcome.job.number}`),
    );
  }
  const open = outcomes.filter(({ begunAtMs, endedAtMs }) => begunAtMs <= overAt && endedAtMs > overAt);
  return {
    fault,
    jobs: jobs.length,
    lastedMs: overAt - begunAt,
    recoveredMs: Math.max(0, ...open.map(({ endedAtMs }) => endedAtMs - overAt)),
    repeated: outcomes.reduce((sum, { repeated }) => sum + repeated, 0),
    lateMs,
    wrong,
  };
}

function describe({ transport, way, habit }: PlannedJob): string {
  return `${transport}, ${habit === 'patient' ? way : habit}`;
}

/** The questions that the bundle's own cases ask. */
function readPictures(bundleDir: string): Picture[] {
  const cases = JSON.parse(readFileSync(join(bundleDir, 'golden/cases.json'), 'utf8')) as {
    readonly image: string;
    readonly question: string;
  }[];
  const asked = new Map(cases.map(({ image, question }) => [`${image} ${question}`, { image, question }]));
  return [...asked.values()].map(({ image, question }) => {
    return { image: readFileSync(join(bundleDir, image)), instruction: question };
  });
}
