import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Model } from '../service/bodies.js';
import { defaultModel } from '../service/service.js';

/** What the model knows, as its bundle says. */
export function About() {
  const model = useSignal<Model | undefined>(undefined);
  useEffect(() => {
    defaultModel().then(
      (found) => (model.value = found),
      () => undefined, // the page works without; what is wrong is said when a question is asked
    );
  }, [model]);
  if (!model.value) return null;
  const { name, version, description, knowledge } = model.value;
  return (
    <details class="about">
      <summary>What it knows</summary>
      <div>
        <p>
          <strong>
            {name} {version}
          </strong>
          . {description}
        </p>
        {knowledge && (
          <>
            <p>It answers in {knowledge.languages.join(', ')}.</p>
            <p>
              It knows {knowledge.kinds.length} kinds of things: {knowledge.kinds.join(', ')}.
            </p>
            <ul>
              {knowledge.limits.map((limit) => (
                <li key={limit}>{limit}</li>
              ))}
            </ul>
          </>
        )}
      </div>
    </details>
  );
}
