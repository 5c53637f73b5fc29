import { maskRuns } from '@segue/core';
import type { Ask } from './contestants/contestant.js';
import { httpAsk } from './contestants/interfaces.js';
import { closedLoop, openLoop, type Measured } from './load.js';
import { percentiles } from './statistics.js';
import { step } from './workspace.js';
import { Workload } from './workload.js';

interface Options {
  readonly clients: string;
  readonly rate?: string;
  readonly questions: string;
}

/** Measures a service that runs somewhere: `POST url/v1/segment`. New pictures; every mask is checked. */
export async function benchService(url: string, { clients, rate, questions }: Options): Promise<void> {
  const ask = checked(httpAsk(new URL('/v1/segment', url).href));
  const workload = new Workload();
  const count = Number(questions);
  const next = () => workload.questions(count, 'one target', 'new');
  const rows: Record<string, object> = {};
  for (const number of clients.split(',').map(Number)) {
    step(`Closed loop, ${number} clients`);
    rows[`${number} clients`] = describe(await closedLoop(ask, await next(), number));
  }
  if (rate !== undefined) {
    step(`Open loop, ${rate} questions/s`);
    rows[`${rate}/s arriving`] = describe(await openLoop(ask, await next(), Number(rate), 0.5));
  }
  console.table(rows);
}

/** An answer counts only if its masks' runs cover their pictures and asking again gives the same. */
function checked(ask: Ask): Ask {
  let compared = false;
  return async (question) => {
    const reply = await ask(question);
    for (const mask of reply.masks) maskRuns(mask);
    if (compared) return reply;
    compared = true;
    const again = await ask(question);
    if (JSON.stringify([again.text, again.masks]) !== JSON.stringify([reply.text, reply.masks])) {
      throw new Error('the same question has two answers');
    }
    return reply;
  };
}

function describe({ samples, elapsedMs }: Measured): object {
  const answered = samples.filter(({ error }) => error === undefined);
  const [firstError] = samples.flatMap(({ error }) => error ?? []);
  const { p50, p95, p99 } = percentiles(answered);
  return {
    'answers/s': Number((answered.length / (elapsedMs / 1000)).toFixed(2)),
    'p50 ms': Math.round(p50),
    'p95 ms': Math.round(p95),
    'p99 ms': Math.round(p99),
    errors: samples.length - answered.length,
    ...(firstError !== undefined && { 'first error': firstError }),
  };
}
