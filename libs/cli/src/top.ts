import { once } from 'node:events';
import type { WriteStream } from 'node:tty';
import { setTimeout as sleep } from 'node:timers/promises';
import { SegueError } from '@segue/client';
import { readCounters, type Counters } from './counters.js';

export interface TopOptions {
  readonly adminUrl: string;
  readonly once?: boolean;
}

/** What `/load` tells of a stage. */
interface StageLoad {
  readonly workers: number;
  readonly busy: number;
  readonly tasks: number;
  readonly tasks_per_second: number;
  readonly backlog_seconds: number;
  readonly demand_workers: number;
}

interface Reading {
  readonly atMs: number;
  readonly stages: Readonly<Record<string, StageLoad>>;
  readonly counters: Counters;
}

const EVERY_MS = 1_000;
/** The means are taken over so many readings. */
const READINGS = 30;
const PHASES = ['queue', 'encode', 'generate', 'decode', 'total'];

/** `segue top`: the load of the stages and the time of jobs, renewed each second until it is interrupted. */
export async function top({ adminUrl, once: single = false }: TopOptions): Promise<void> {
  const url = adminUrl.replace(/\/+$/, '');
  if (single) {
    process.stdout.write(`${frame(url, [await read(url)]).join('\n')}\n`);
    return;
  }
  // The terminal is given back as it was, whoever ends this.
  const interrupted = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => once(process, signal)));
  let ended = false;
  void interrupted.then(() => (ended = true));
  process.stdout.write('\x1b[?1049h\x1b[?25l');
  try {
    const readings: Reading[] = [];
    while (!ended) {
      const lines = await read(url).then(
        (reading) => {
          readings.push(reading);
          return frame(url, readings.slice(-READINGS));
        },
        (error: unknown) => [title(url), '', error instanceof SegueError ? error.message : String(error)],
      );
      process.stdout.write(screen(lines, process.stdout));
      await Promise.race([interrupted, sleep(EVERY_MS)]);
    }
  } finally {
    process.stdout.write('\x1b[?25h\x1b[?1049l');
  }
}

/** Replaces what the terminal shows; what it has no room for is left out, since it would scroll and wrap. */
function screen(lines: readonly string[], { rows = Infinity, columns = Infinity }: Partial<WriteStream>): string {
  const shown = lines.slice(0, rows).map((line) => `${line.slice(0, columns - 1)}\x1b[K`);
  return `\x1b[H${shown.join('\n')}\x1b[J`;
}

async function read(url: string): Promise<Reading> {
  const [load, metrics] = await Promise.all([get(`${url}/load`), get(`${url}/metrics`)]);
  const { stages } = JSON.parse(load) as Pick<Reading, 'stages'>;
  return { atMs: Date.now(), stages, counters: readCounters(metrics) };
}

async function get(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    if (response.ok) return await response.text();
    throw new Error(`status ${response.status}`);
  } catch (cause) {
    throw new SegueError(
      'UNAVAILABLE',
      `${url} does not answer. Name the gateway's admin port with --admin-url or SEGUE_ADMIN_URL.`,
      { cause },
    );
  }
}

function title(url: string): string {
  return `segue top  ${url}  ${new Date().toTimeString().slice(0, 8)}`;
}

/** Two tables, of the stages and of the jobs that this gateway has counted. */
function frame(url: string, readings: readonly Reading[]): string[] {
  const [first, last] = [readings[0], readings.at(-1)];
  if (!first || !last) return [title(url)];
  const seconds = (last.atMs - first.atMs) / 1000;
  // From the start of the process where there is nothing to compare with.
  const before = seconds > 0 ? first.counters : readCounters('');
  const grown = (name: string, labels: string): number =>
    last.counters.valueOf(name, labels) - before.valueOf(name, labels);
  const stages = Object.entries(last.stages).map(([stage, load]) =>
    row(stage, [
      String(load.workers),
      `${(100 * load.busy).toFixed(0)} %`,
      load.tasks.toFixed(0),
      load.tasks_per_second.toFixed(1),
      `${load.backlog_seconds.toFixed(1)} s`,
      load.demand_workers.toFixed(2),
    ]),
  );
  const jobs = ['completed', 'failed', 'cancelled'].map((outcome) => {
    const rate = seconds > 0 ? `${(grown('segue_jobs_total', outcome) / seconds).toFixed(2)}/s` : '';
    return row(outcome, [last.counters.valueOf('segue_jobs_total', outcome).toFixed(0), rate]);
  });
  const means = PHASES.map((phase) => {
    const count = grown('segue_job_seconds_count', phase);
    return count > 0 ? `${(grown('segue_job_seconds_sum', phase) / count).toFixed(2)} s` : '-';
  });
  return [
    title(url),
    '',
    row('stage', ['workers', 'busy', 'tasks', 'tasks/s', 'backlog', 'wanted']),
    ...stages,
    '',
    row('jobs', ['ended', 'rate']),
    ...jobs,
    '',
    row('', PHASES),
    row('mean', means),
  ];
}

function row(name: string, cells: readonly string[]): string {
  return [name.padEnd(10), ...cells.map((cell) => cell.padStart(10))].join('').trimEnd();
}
