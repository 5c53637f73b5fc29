import {
  isStoreAway,
  isTerminal,
  SegueError,
  type Answer,
  type JobEvent,
  type JobEventBody,
  type JobState,
} from '@segue/core';
import type { JobScripts } from '@segue/redis';
import { isJobId } from './job-id.js';
import type { JobSignals } from './job-signals.js';
import { jobNotFound } from './job-store.js';
import { hasEnded } from './record.js';

export interface ReadOptions {
  /** Events after this one; from the beginning when absent. */
  readonly after?: string;
  /** Gives nothing but the job's last event: who waits for the answer alone need not read what is written on the way. */
  readonly lastOnly?: boolean;
  /** Ends the reading, without an error. */
  readonly signal?: AbortSignal;
}

/** The next events and whether the job had ended by then. */
interface Page {
  readonly events: readonly JobEvent[];
  readonly ended: boolean;
}

const PAGE = 100;
const EVENT_ID = /^\d{1,15}-\d{1,15}$/;
/** How often a reader looks without having been woken: notices a log whose lifetime is over. */
const LOOK_EVERY_MS = 5_000;
/** How often a reader that has begun tries again while Redis is away, and for how long; by then another master is there. */
const TRY_EVERY_MS = 1_000;
const PATIENCE_MS = 30_000;

/** Reads event logs. Many readers share one subscription; each fetches only when there is something new. */
export class EventLog {
  readonly #scripts: JobScripts;
  readonly #signals: JobSignals;

  constructor(scripts: JobScripts, signals: JobSignals) {
    this.#scripts = scripts;
    this.#signals = signals;
  }

  /**
   * The job's events from any point, following until its last one. Once it has begun it waits for a Redis that goes away.
   * @throws SegueError NOT_FOUND, INVALID_ARGUMENT for something that is no event id, UNAVAILABLE when Redis is away at the
   * beginning, or for `PATIENCE_MS` later on.
   */
  async *read(jobId: string, options: ReadOptions = {}): AsyncGenerator<JobEvent, void, undefined> {
    if (!isJobId(jobId)) throw jobNotFound();
    const { lastOnly = false, signal } = options;
    let after = options.after ?? '0-0';
    if (!EVENT_ID.test(after)) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        'The event id is not one of this service. Pass the id of the last event that you received.',
      );
    }
    const bell = new Bell(signal);
    const stopListening = await this.#signals.listen(jobId, (heard) => {
      if (heard !== 'event' || !lastOnly) bell.ring();
    });
    let begun = false;
    let awaySince: number | undefined;
    try {
      while (!signal?.aborted) {
        bell.silence();
        let page: Page;
        try {
          page = await this.#page(jobId, after);
        } catch (error) {
          awaySince ??= performance.now();
          if (!begun || !isStoreAway(error) || performance.now() - awaySince > PATIENCE_MS) throw error;
          await bell.rung(TRY_EVERY_MS);
          continue;
        }
        begun = true;
        awaySince = undefined;
        const { events, ended } = page;
        for (const event of events) {
          if (signal?.aborted) return;
          if (!lastOnly || isTerminal(event)) yield event;
          if (isTerminal(event)) return;
          after = event.id;
        }
        if (events.length < PAGE) {
          if (ended) return;
          await bell.rung(LOOK_EVERY_MS);
        }
      }
    } finally {
      stopListening();
    }
  }

  /** As of one moment. */
  async #page(jobId: string, after: string): Promise<Page> {
    const { state, answer, entries } = await this.#scripts.page(jobId, after, PAGE);
    if (state === undefined) throw jobNotFound();
    return {
      events: entries.map(([id, body]) => toEvent(jobId, id, body, answer)),
      ended: hasEnded({ state: state as JobState }),
    };
  }
}

/** The id of a stream entry begins with the time of its writing. */
function toEvent(jobId: string, id: string, json: string, answer: string | undefined): JobEvent {
  const stored = JSON.parse(json) as JobEventBody;
  const event = stored.type === 'completed' ? { ...stored, answer: JSON.parse(answer ?? '') as Answer } : stored;
  return { ...event, id, jobId, atMs: Number(id.split('-', 1)[0]) };
}

/** Remembers a ring that comes while nobody waits for it. */
class Bell {
  readonly #signal: AbortSignal | undefined;
  #rang = false;
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  ring(): void {
    this.#rang = true;
    this.#wake?.();
  }

  silence(): void {
    this.#rang = false;
  }

  /** Resolves at the next ring, when the signal aborts, or when the time is over. */
  async rung(timeoutMs: number): Promise<void> {
    if (this.#rang || this.#signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#signal?.addEventListener('abort', this.#wake, { once: true });
    });
    if (this.#wake) this.#signal?.removeEventListener('abort', this.#wake);
    this.#wake = undefined;
  }
}
