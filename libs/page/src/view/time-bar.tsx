import type { Answer } from '../service/bodies.js';

const PARTS = [
  ['queue', 'waiting'],
  ['encode', 'looking'],
  ['generate', 'writing'],
  ['decode', 'drawing'],
] as const;

/** Where the time of an answer went. The stages overlap: masks are drawn while words are written. */
export function TimeBar({ answer: { model, timings_ms, cache } }: { answer: Answer }) {
  const parts = PARTS.map(([stage, name]) => ({
    stage,
    name,
    ms: Math.max(0, Math.round(timings_ms[stage])),
    cached: (stage === 'encode' && cache.image) || (stage === 'generate' && cache.prefix),
  }));
  const told = parts.map(({ name, ms, cached }) => `${name} ${ms} ms${cached ? ' with the cache' : ''}`).join(', ');
  return (
    <div class="times">
      <div class="bar" role="img" aria-label={`Time: ${told}`}>
        {parts.map(({ stage, name, ms }) => (
          <span key={stage} class={stage} style={{ flexGrow: ms }} title={`${name} ${ms} ms`} />
        ))}
      </div>
      <p class="facts">
        <span>{Math.round(timings_ms.total)} ms</span>
        {parts.map(({ stage, name, ms, cached }) => (
          <span key={stage} class={`part ${stage}`}>
            {name} {ms}
            {cached && ' (cache)'}
          </span>
        ))}
        <span class="model">{model}</span>
      </p>
    </div>
  );
}
