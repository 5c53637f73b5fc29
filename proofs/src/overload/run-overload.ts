import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SegueClient } from '@segue/client';
import { SegueError } from '@segue/core';
import { closedLoop, openLoop, percentiles } from '@segue/load';
import { LocalSystem } from '@segue/local-system';

export interface OverloadOptions {
  readonly bundleDir: string;
  /** Of each rate, in seconds. */
  readonly seconds: number;
  /** Multiples of what the service can do. */
  readonly rates: readonly number[];
  /** Event streams that are open at the same time; every tenth is not read. */
  readonly streams: number;
  /** Longest wait of who is let in, in milliseconds; 0: what its time allows. */
  readonly maxWait?: number;
  readonly onRate?: (report: RateReport) => void;
}

/** Times in milliseconds. */
export interface RateReport {
  readonly rate: number;
  readonly perSecond: number;
  readonly sent: number;
  readonly answered: number;
  readonly p50: number;
  readonly p99: number;
  readonly refused: number;
  readonly refusedP50: number;
  readonly refusedP99: number;
  /** By code; deadlines that passed, for one. */
  readonly failed: Readonly<Record<string, number>>;
  /** Of the gateway. */
  readonly megabytes: number;
  /** From the last request until a single one was answered as quickly as in calm. */
  readonly recoveredMs: number;
}

export interface StreamsReport {
  readonly streams: number;
  readonly unread: number;
  readonly megabytesBefore: number;
  readonly megabytesOpen: number;
  /** How long a question beside them took. */
  readonly besideMs: number;
  /** Streams that told of the job's end, and when the last did, from when the job could go on. */
  readonly told: number;
  readonly toldMs: number;
  /** Streams that were read and broke off before. */
  readonly broken: number;
}

export interface OverloadReport {
  /** Requests per second of eight clients that ask one after the other. */
  readonly capacity: number;
  readonly rates: readonly RateReport[];
  readonly streams: StreamsReport;
}

const CLIENTS = 8;
const CAPACITY_QUESTIONS = 200;
const TIMEOUT_MS = 5_000;
const REFUSALS = new Set<string>(['RESOURCE_EXHAUSTED', 'UNAVAILABLE']);

/** Sends more than can be answered: are accepted ones quick, refusals quicker, memory flat? */
export async function runOverload(options: OverloadOptions): Promise<OverloadReport> {
  const system = await LocalSystem.start({
    bundleDir: options.bundleDir,
    env: { SEGUE_LOG_LEVEL: 'error', SEGUE_MAX_WAIT_MS: String(options.maxWait ?? 0) },
  });
  try {
    const image = readFileSync(join(options.bundleDir, 'golden/wide.png'));
    const client = new SegueClient({ baseUrl: system.app('gateway').url, retries: 0 });
    const { imageId } = await client.segment({ image, instruction: 'What is here?' });
    const ask = (timeoutMs = TIMEOUT_MS) => client.segment({ imageId, instruction: 'What is here?', timeoutMs });
    const once = async () => {
      const begunAt = performance.now();
      await ask(60_000);
      return performance.now() - begunAt;
    };

    await closedLoop(() => ask(60_000), range(CAPACITY_QUESTIONS), CLIENTS); // warms up
    const { elapsedMs } = await closedLoop(() => ask(60_000), range(CAPACITY_QUESTIONS), CLIENTS);
    const capacity = CAPACITY_QUESTIONS / (elapsedMs / 1000);
    const calmMs = Math.max(await once(), await once(), await once());

    const rates: RateReport[] = [];
    for (const rate of options.rates) {
      const perSecond = rate * capacity;
      const settled = await openLoop(
        async () => {
          const begunAt = performance.now();
          const code = await ask().then(
            () => 'ANSWERED',
            (error: unknown) => (error instanceof SegueError ? error.code : String(error)),
          );
          return { code, latencyMs: performance.now() - begunAt };
        },
        range(Math.ceil(perSecond * options.seconds)),
        perSecond,
        rate / 10,
      );
      const overAt = performance.now();
      while ((await once()) > 2 * calmMs + 50) await sleep(50);
      const replies = settled.outcomes.flatMap(({ reply }) => (reply ? [reply] : []));
      const times = (fits: (code: string) => boolean) => percentiles(replies.filter(({ code }) => fits(code)));
      const [answers, refusals] = [times((code) => code === 'ANSWERED'), times((code) => REFUSALS.has(code))];
      const failed: Record<string, number> = {};
      for (const { code } of replies)
        if (code !== 'ANSWERED' && !REFUSALS.has(code)) failed[code] = (failed[code] ?? 0) + 1;
      const report: RateReport = {
        rate,
        perSecond,
        sent: replies.length,
        answered: replies.filter(({ code }) => code === 'ANSWERED').length,
        p50: answers.p50,
        p99: answers.p99,
        refused: replies.filter(({ code }) => REFUSALS.has(code)).length,
        refusedP50: refusals.p50,
        refusedP99: refusals.p99,
        failed,
        megabytes: megabytesOf(system),
        recoveredMs: performance.now() - overAt,
      };
      rates.push(report);
      options.onRate?.(report);
    }
    return { capacity, rates, streams: await openStreams(system, client, imageId, options.streams) };
  } finally {
    await system.stop();
  }
}

async function openStreams(
  system: LocalSystem,
  client: SegueClient,
  imageId: string,
  count: number,
): Promise<StreamsReport> {
  const { hostname, port } = new URL(system.app('gateway').url);
  const decoder = system.app('decoder-worker');
  const megabytesBefore = megabytesOf(system);
  decoder.pause();
  const { jobId } = await client.jobs.submit({ imageId, instruction: 'What is here?', timeoutMs: 120_000 });
  let [told, broken, lastAt] = [0, 0, 0];
  const sockets: Socket[] = [];
  for (let number = 0; number < count; number++) {
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    await once(socket, 'connect');
    socket.on('error', () => undefined); // counted as it closes
    socket.write(`GET /v1/jobs/${jobId}/events HTTP/1.1\r\nHost: ${hostname}\r\nAccept: text/event-stream\r\n\r\n`);
    if (number % 10 === 0) continue; // whoever does not read
    let tail = '';
    socket.once('close', () => {
      if (!tail.includes('completed')) broken++;
    });
    socket.on('data', (bytes: Buffer) => {
      const text = tail + bytes.toString('latin1');
      tail = text.slice(-30);
      if (!text.includes('event: completed')) return;
      tail = 'completed';
      told++;
      lastAt = performance.now();
      socket.destroy();
    });
  }
  await sleep(2_000);
  const megabytesOpen = megabytesOf(system);
  const askedAt = performance.now();
  await client.models.list();
  const besideMs = performance.now() - askedAt;
  const unread = Math.ceil(count / 10);
  decoder.resume();
  const goesOnAt = performance.now();
  while (told + broken < count - unread && performance.now() - goesOnAt < 60_000) await sleep(50);
  const report = { streams: count, unread, megabytesBefore, megabytesOpen, besideMs, told, broken };
  for (const socket of sockets) socket.destroy();
  return { ...report, toldMs: lastAt - goesOnAt };
}

function* range(count: number): Generator<number> {
  for (let number = 0; number < count; number++) yield number;
}

function megabytesOf(system: LocalSystem): number {
  const status = readFileSync(`/proc/${system.app('gateway').pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}
