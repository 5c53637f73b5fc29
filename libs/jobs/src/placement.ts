import { STAGES, type Stage } from '@segue/core';
import type { JobScripts } from '@segue/redis';
import { liveWorkers, type WorkerInfo } from './heartbeats.js';

/** The bundle that a worker serves. */
export interface ServedBundle {
  /** `name@version` */
  readonly id: string;
  /** Tensors, words and masks of one digest belong together; those of two are never mixed. */
  readonly digest: string;
}

/** What a task needs of the worker that takes it. */
export interface Need {
  /** Name of the model that was asked for. */
  readonly model: string;
  /** Of the bundle that the task's tensors are of; a task of the encoder may have any. */
  readonly digest?: string | undefined;
}

/**
 * What becomes of a task that a worker has taken: it is done; it goes back to the queue, for another worker or another time; its picture is
 * encoded again; its answer is begun anew; or nobody serves its model.
 */
export type Fate = 'done here' | 'put back' | 'encoded again' | 'begun anew' | 'not served';

export type Live = Readonly<Record<Stage, readonly Pick<WorkerInfo, 'model' | 'digest'>[]>>;

/**
 * Decides by the workers that are heard of, while one bundle takes the place of another and workers of both take tasks. A bundle is
 * served from a stage on where each stage has a worker with it; a stage without any worker is no hindrance, for one may be started.
 */
export function fateOf(stage: Stage, own: ServedBundle, { model, digest }: Need, live: Live): Fate {
  const has = (each: Stage, wanted: string) => live[each].some((worker) => (worker.digest ?? wanted) === wanted);
  const served = (wanted: string, ...stages: Stage[]) =>
    stages.every((each) => live[each].length === 0 || has(each, wanted));
  const ofModel = (worker: Live[Stage][number]) => nameOf(worker.model) === model;
  if (nameOf(own.id) !== model) return live[stage].some(ofModel) ? 'put back' : 'not served';
  switch (stage) {
    case 'encode': {
      if (served(own.digest, 'generate', 'decode')) return 'done here';
      const others = live.encode.filter(ofModel).flatMap((worker) => worker.digest ?? []);
      const better = others.some((other) => other !== own.digest && served(other, 'generate', 'decode'));
      return better ? 'put back' : 'done here';
    }
    case 'generate': {
      if (digest === undefined || digest === own.digest) return served(own.digest, 'decode') ? 'done here' : 'put back';
      if (has('generate', digest) && served(digest, 'decode')) return 'put back';
      return served(own.digest, 'encode', 'decode') ? 'encoded again' : 'put back';
    }
    case 'decode': {
      if (digest === undefined || digest === own.digest) return 'done here';
      return has('decode', digest) ? 'put back' : 'begun anew';
    }
  }
}

/** What was heard of the workers is good for so long. */
const KNOWN_MS = 500;

/** Where tasks go of one worker. */
export class Placement {
  readonly #stage: Stage;
  readonly #own: ServedBundle;
  readonly #scripts: JobScripts;
  #heard: Promise<Live> | undefined;
  #heardAtMs = 0;

  constructor(stage: Stage, own: ServedBundle, scripts: JobScripts) {
    this.#stage = stage;
    this.#own = own;
    this.#scripts = scripts;
  }

  async fateOf(need: Need): Promise<Fate> {
    return fateOf(this.#stage, this.#own, need, await this.#live());
  }

  #live(): Promise<Live> {
    const nowMs = performance.now();
    if (!this.#heard || nowMs - this.#heardAtMs > KNOWN_MS) {
      this.#heardAtMs = nowMs;
      const heard = this.#listen();
      heard.catch(() => (this.#heard = undefined));
      this.#heard = heard;
    }
    return this.#heard;
  }

  async #listen(): Promise<Live> {
    const workers = await Promise.all(STAGES.map((stage) => liveWorkers(this.#scripts, stage)));
    return Object.fromEntries(STAGES.map((stage, index) => [stage, workers[index] ?? []])) as Record<
      Stage,
      WorkerInfo[]
    >;
  }
}

function nameOf(id: string): string {
  return id.slice(0, id.lastIndexOf('@'));
}
