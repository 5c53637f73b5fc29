import { TraceCollector, type CollectedSpan } from '@segue/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MANY_SEGMENTS, WIDE } from './pictures.js';
import { System } from './system.js';

/** The client's own trace, into which ours is to be put. */
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';
const STAGES = { encode: 'encoder-worker', generate: 'llm-worker', decode: 'decoder-worker' };

let collector: TraceCollector;
let system: System;
const lines: Record<string, string>[] = [];
beforeAll(async () => {
  collector = await TraceCollector.start();
  const onLine = (_program: string, line: string): void => {
    if (line.startsWith('{')) lines.push(JSON.parse(line) as Record<string, string>);
  };
  system = await System.start({ env: { SEGUE_TRACES_URL: collector.url, OTEL_BSP_SCHEDULE_DELAY: '100' }, onLine });
});
afterAll(async () => {
  await system.stop();
  collector.stop();
});

async function ask(headers: Record<string, string> = {}): Promise<void> {
  const body = new FormData();
  body.set('image', new Blob([new Uint8Array(WIDE)]), 'wide.png');
  body.set('instruction', MANY_SEGMENTS);
  const response = await fetch(`${system.httpUrl}/v1/segment`, { method: 'POST', body, headers });
  expect(response.status).toBe(200);
}

describe('a request', () => {
  let trace: readonly CollectedSpan[];
  const named = (name: string): readonly CollectedSpan[] => trace.filter((span) => span.name === name);
  const parentOf = ({ parentSpanId }: CollectedSpan) => trace.find(({ spanId }) => spanId === parentSpanId);

  it('is one trace through all four processes, which goes on with that of its client', async () => {
    await ask({ traceparent: `00-${TRACE_ID}-${CLIENT_SPAN}-01` });
    const seen = (): string[] => {
      trace = collector.spans.filter(({ traceId }) => traceId === TRACE_ID);
      return [...new Set(trace.map(({ service, name }) => `${service}: ${name}`))].toSorted();
    };
    await expect
      .poll(seen, { timeout: 30_000 })
      .toEqual([
        'decoder-worker: decode',
        'decoder-worker: fetch ahead',
        'decoder-worker: pull',
        'decoder-worker: session.run',
        'decoder-worker: wait for decode',
        'encoder-worker: encode',
        'encoder-worker: send',
        'encoder-worker: session.run',
        'encoder-worker: wait for encode',
        'gateway: POST /v1/segment',
        'gateway: segment',
        'gateway: submit',
        'gateway: wait for segment',
        'llm-worker: generate',
        'llm-worker: pull',
        'llm-worker: session.run',
        'llm-worker: wait for generate',
      ]);
    const orphans = (): readonly CollectedSpan[] => {
      seen();
      return trace.filter((span) => span.parentSpanId !== CLIENT_SPAN && !parentOf(span));
    };
    await expect.poll(orphans, { timeout: 30_000 }).toEqual([]);
    expect(trace.filter(({ status }) => status.code === 2)).toEqual([]);
  });

  it('has each task below what added it, and each run of a graph below its task', () => {
    const [request] = named('POST /v1/segment');
    expect(request?.parentSpanId).toBe(CLIENT_SPAN);
    expect(request?.attributes).toMatchObject({ 'http.route': '/v1/segment', 'http.response.status_code': 200 });
    const [submit] = named('submit');
    expect(submit && parentOf(submit)).toBe(request);
    for (const name of ['encode', 'generate', 'segment']) {
      expect(named(name)).toHaveLength(1);
      for (const task of named(name)) expect(parentOf(task)).toBe(submit);
    }
    expect(named('decode').length).toBeGreaterThan(1);
    for (const task of named('decode')) expect(parentOf(task)?.name).toBe('generate');
    for (const [stage, service] of Object.entries(STAGES)) {
      const runs = named('session.run').filter((span) => span.service === service);
      expect(runs.length).toBeGreaterThan(0);
      for (const run of runs) expect(parentOf(run)?.name).toBe(stage);
    }
    const graphs = named('session.run').map(({ attributes }) => attributes['segue.graph']);
    expect(graphs).toEqual(expect.arrayContaining(['language', 'seg_head', 'encoder', 'decoder']));
  });

  it('is found by its trace in the logs', () => {
    const [task] = named('generate');
    const accepted = lines.filter(({ msg, trace_id }) => msg === 'job accepted' && trace_id === TRACE_ID);
    expect(accepted.map(({ jobId }) => jobId)).toEqual([task?.attributes['segue.job_id']]);
  });
});

it('keeps requests apart that are written in one batch', async () => {
  const before = collector.traces();
  await Promise.all([ask(), ask(), ask()]);
  const runs = (): string[] => {
    const fresh = [...collector.traces()].filter((id) => !before.has(id));
    return fresh.map((id) => {
      const spans = collector.spans.filter(({ traceId, service }) => traceId === id && service === 'llm-worker');
      const graphs = spans.flatMap(({ attributes }) => attributes['segue.graph'] ?? []);
      return [...new Set(graphs)].toSorted().join();
    });
  };
  await expect.poll(runs, { timeout: 30_000 }).toEqual(Array(3).fill('language,seg_head'));
});
