import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomLcg } from 'd3-random';
import { SegueClient } from '@segue/client';
import { freePort, LocalSystem } from '@segue/local-system';
import { TINY_BUNDLE_DIR } from '@segue/testing';
import { bundleCases } from './bundles.js';
import type { Case, Target } from './case.js';
import { grpcCases, tensorCases } from './grpc.js';
import { httpCases } from './http.js';
import { redisCases } from './redis.js';

export interface HostileOptions {
  readonly seed: number;
  /** Takes one in so many; all unless given. */
  readonly oneIn?: number;
  readonly onWrong?: (what: string) => void;
}

export interface DoorReport {
  readonly door: string;
  readonly cases: number;
  readonly wrong: readonly string[];
}

export interface HostileReport {
  readonly doors: readonly DoorReport[];
  /** Of each process: megabytes of memory and open handles after a tenth of the cases, and after all. */
  readonly processes: readonly { readonly name: string; readonly megabytes: Pair; readonly handles: Pair }[];
}

type Pair = readonly [before: number, after: number];

/** Cases between two good requests. */
const BETWEEN = 20;
/** A good request is answered in milliseconds; the time is for a machine that does other things. */
const GOOD_TIMEOUT_MS = 60_000;

/** Sends everything that nobody should, and sees whether the service goes on as before. */
export async function runHostile({ seed, oneIn = 1, onWrong }: HostileOptions): Promise<HostileReport> {
  const random = randomLcg(seed / 2 ** 16);
  const all = [
    ...httpCases(random),
    ...grpcCases(random),
    ...tensorCases(random),
    ...redisCases(),
    ...bundleCases(random),
  ];
  const cases = all.filter((_, index) => index % oneIn === 0);
  const tensorPort = await freePort();
  const system = await LocalSystem.start({
    bundleDir: TINY_BUNDLE_DIR,
    env: { SEGUE_LOG_LEVEL: 'fatal' },
    envOf: (_name, kind) => (kind === 'encoder-worker' ? { SEGUE_TENSOR_PORT: String(tensorPort) } : {}),
  });
  try {
    const image = readFileSync(join(TINY_BUNDLE_DIR, 'golden/wide.png'));
    const client = new SegueClient({ baseUrl: system.app('gateway').url });
    const good = { image, instruction: 'What is here?', timeoutMs: GOOD_TIMEOUT_MS };
    const { imageId, jobId, text } = await client.segment(good);
    const target: Target = { system, image, imageId, jobId, tensorAddress: `127.0.0.1:${tensorPort}` };
    const pids = system.apps.map(({ pid }) => pid);

    const wrong = new Map<string, string[]>();
    let before = measure(system);
    for (const [index, one] of cases.entries()) {
      const tell = (what: string | undefined): void => {
        if (what === undefined) return;
        wrong.set(doorOf(one), [...(wrong.get(doorOf(one)) ?? []), `${one.name}: ${what}`]);
        onWrong?.(`${one.name}: ${what}`);
      };
      await one
        .run(target)
        .then(tell, (error: unknown) =>
          tell(error instanceof Error ? `${error.name}: ${error.message}` : String(error)),
        );
      if (index % BETWEEN === 0 || index === cases.length - 1) {
        await client.segment(good).then(
          (answer) => tell(answer.text === text ? undefined : `a good request was then answered “${answer.text}”`),
          (error: unknown) => tell(`a good request then failed: ${String(error)}`),
        );
      }
      for (const [at, app] of system.apps.entries()) {
        if (app.ended !== undefined || app.pid !== pids[at])
          throw new Error(`${app.name} ${app.ended} after ${one.name}:\n${app.output}`);
      }
      if (index === Math.floor(cases.length / 10)) before = measure(system);
    }
    const after = measure(system);
    return {
      doors: [...new Set(cases.map(doorOf))].map((door) => {
        return { door, cases: cases.filter((one) => doorOf(one) === door).length, wrong: wrong.get(door) ?? [] };
      }),
      processes: system.apps.map(({ name }, at) => ({
        name,
        megabytes: [before[at]?.megabytes ?? 0, after[at]?.megabytes ?? 0],
        handles: [before[at]?.handles ?? 0, after[at]?.handles ?? 0],
      })),
    };
  } finally {
    await system.stop();
  }
}

function doorOf({ name }: Case): string {
  return name.split(':', 1)[0] ?? '';
}

/** By Linux' /proc. */
function measure(system: LocalSystem) {
  return system.apps.map(({ pid }) => ({
    megabytes: Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024),
    handles: readdirSync(`/proc/${pid}/fd`).length,
  }));
}
