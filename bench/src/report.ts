import { total, type Summary } from './statistics.js';
import type { Results } from './results.js';
import type { Target } from './targets.js';

/** The results as a page of Markdown; the plots lie beside it. */
export function writeReport(results: Results, summaries: readonly Summary[], targets: readonly Target[]): string {
  const scenarios = [...new Set(summaries.map(({ scenario }) => scenario))];
  const sections = scenarios.map((scenario) => {
    const rows = summaries.filter((summary) => summary.scenario === scenario);
    return [`### ${scenario[0]?.toUpperCase()}${scenario.slice(1)}`, latencies(rows)].join('\n\n');
  });
  return [
    '# Benchmark results',
    table(['', ''], Object.entries(results.environment)),
    'Written by the benchmark. Latencies are milliseconds over all rounds, throughput is the median of the rounds with the ' +
      "lowest and the highest; `session.run` is the sum of the graphs' runs alone, in one thread. In an open loop the same " +
      'arrivals come to everyone, a share of what Segue HTTP answered in the closed loop of that round; a latency counts from the ' +
      'planned arrival. Ray Serve and FastAPI answer whole, so their first word comes with the last.',
    '## Targets',
    table(
      ['figure', 'target', 'measured', ''],
      targets.map(({ figure, target, measured, met }) => [
        figure,
        target,
        measured,
        met === undefined ? '' : met ? 'met' : 'not met',
      ]),
    ),
    '## Latency and throughput',
    '![Throughput](throughput.svg)\n\n![Latency](latency.svg)',
    ...(scenarios.some((scenario) => scenario.includes('arrivals'))
      ? ['![Latency as arrivals grow](open-loop.svg)']
      : []),
    ...sections,
    '## What an answer costs',
    'CPU milliseconds by process, one target, new pictures, most clients measured.',
    costs(results, summaries, 'cpuSeconds', (seconds) => (seconds * 1000).toFixed(0)),
    'Kilobytes sent over TCP by hop, in the same runs (shared memory, in which Ray keeps tensors, and Unix sockets are not seen).',
    costs(results, summaries, 'sentBytes', (bytes) => (bytes / 1000).toFixed(0)),
    '## Memory',
    'MiB by process (PSS) after all rounds.',
    table(
      ['contestant', 'all', 'processes'],
      deployments(results.memory).map(({ contestant, mib }) => [
        contestant,
        total(mib).toFixed(0),
        list(mib, (value) => value.toFixed(0)),
      ]),
    ),
    '## Before the rounds',
    table(
      ['contestant', 'same words', 'same words and masks', 'warm-up, medians of the windows in ms', 'cores when idle'],
      results.agreement.map(({ contestant, words, masks, of }) => [
        contestant,
        `${words} of ${of}`,
        `${masks} of ${of}`,
        (results.warmUp[contestant] ?? []).map((ms) => ms.toFixed(0)).join(', '),
        (results.idle.find((one) => one.contestant === contestant)?.cores ?? 0).toFixed(3),
      ]),
    ),
    ...(results.starts
      ? [
          `One more of each app serves after ${list(results.starts, (ms) => `${(ms / 1000).toFixed(1)} s`)}: process, loading and checking ` +
            'the bundle, a first run.',
        ]
      : []),
    ...(Number.isFinite(results.words.one)
      ? [
          `The language model alone writes ${results.words.one.toFixed(1)} tokens/s for one answer and ` +
            `${results.words.eight.toFixed(1)} for eight in one batch.`,
        ]
      : []),
    '',
  ].join('\n\n');
}

function latencies(rows: readonly Summary[]): string {
  const ms = (value: number | undefined) => (value === undefined ? '' : value.toFixed(0));
  return table(
    ['contestant', 'answers/s', 'p50', 'p95', 'p99', 'first word', 'first mask', 'CPU ms', 'answers', 'errors'],
    rows.map((row) => [
      row.contestant,
      row.contestant === 'session.run'
        ? ''
        : `${row.perSecond.toFixed(2)} (${row.perSecondRange.map((rate) => rate.toFixed(2)).join('–')})`,
      ms(row.p50),
      ms(row.p95),
      ms(row.p99),
      ms(row.firstWordMs),
      ms(row.firstMaskMs),
      ms(total(row.cpuSeconds) * 1000),
      String(row.answers),
      String(row.errors),
    ]),
  );
}

function costs(
  { cells }: Results,
  summaries: readonly Summary[],
  key: 'cpuSeconds' | 'sentBytes',
  show: (value: number) => string,
): string {
  const closed = cells.map(({ scenario }) => scenario).filter((name) => /^one target, new.*client/.test(name));
  const rows = summaries.filter(({ scenario }) => scenario === closed.at(-1));
  return table(
    ['contestant', 'all', key === 'cpuSeconds' ? 'processes' : 'hops'],
    rows.map((row) => [row.contestant, show(total(row[key])), list(row[key], show)]),
  );
}

/** Contestants in the same processes are one. */
function deployments(memory: Results['memory']): Results['memory'] {
  return memory.filter(({ mib }, place) => {
    const names = Object.keys(mib).join();
    return memory.findIndex((other) => Object.keys(other.mib).join() === names) === place;
  });
}

function list(values: Readonly<Record<string, number>>, show: (value: number) => string): string {
  const shown = Object.entries(values).map(([name, value]) => [name, show(value)] as const);
  return shown
    .filter(([, value]) => value !== '0')
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}
