import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ProcessTree } from '../processes.js';
import type { Deployment, Reply } from './contestant.js';
import type { Ended, Mode, Task } from './in-process-child.js';
import type { LanguageRun } from './language-runs.js';

const CHILD = fileURLToPath(new URL('./in-process-child.js', import.meta.url));

/** All stages in one process, no network. */
export interface InProcess extends Deployment {
  /** Tokens a second of so many answers written in one batch, by the language model alone. */
  tokensPerSecond(jobs: number): Promise<number>;
  /** How long the language graph takes for batches of several sizes. */
  languageRuns(): Promise<LanguageRun[]>;
}

/**
 * `bare`: the sum of the graphs' `session.run`, called in the main thread one after another; what lies between them does
 * not count. `pipeline`: `libs/pipeline` with sessions in threads, from the JPEG's bytes to run lengths.
 */
export async function startInProcess(mode: Mode): Promise<InProcess> {
  const child = fork(CHILD, [mode], { serialization: 'advanced' });
  const name = mode === 'bare' ? 'session.run' : 'pipeline';
  const waiting = new Map<number, (ended: Ended) => void>();
  let asked = 0;
  child.on('message', (ended: Ended) => {
    waiting.get(ended.id)?.(ended);
    waiting.delete(ended.id);
  });
  child.once('exit', () => {
    for (const [id, settle] of waiting) settle({ id, error: `${name} ended` });
  });
  const call = async <T>(task: Task): Promise<T> => {
    const id = asked++;
    const ended = await new Promise<Ended>((resolve) => {
      waiting.set(id, resolve);
      child.send({ id, task });
    });
    if ('error' in ended) throw new Error(ended.error);
    return ended.result as T;
  };
  await call({ type: 'ready' });
  const ask = (question: Extract<Task, { type: 'ask' }>['question']) => call<Reply>({ type: 'ask', question });
  const processes: ProcessTree[] = [{ name, pid: child.pid ?? 0 }];
  return {
    contestants: [{ name, ask, processes, ...(mode === 'bare' ? { serial: true } : { stream: ask }) }],
    tokensPerSecond: (jobs) => call<number>({ type: 'write', jobs }),
    languageRuns: () => call<LanguageRun[]>({ type: 'batches' }),
    stop: async () => {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}
