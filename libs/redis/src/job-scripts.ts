import { JOB_LUA, type JobScriptName } from './job-lua.js';
import { KEYS } from './keys.js';
import { defineScript, figureOf, fromPairs, type Script } from './lua.js';
import type { RedisConnection } from './open-redis.js';

/** A hash as Redis has it, and Redis' time in milliseconds since the epoch. */
export interface Reading {
  readonly nowMs: number;
  readonly hash: Readonly<Record<string, string>>;
}

export interface NewRecord {
  readonly jobId: string;
  /** Equal for equal requests. */
  readonly digest: string;
  readonly timeoutMs: number;
  readonly keepMs: number;
  readonly tenant: string;
  /** JSON. */
  readonly request: string;
  /** JSON of the first event. */
  readonly event: string;
  /** Digest of the tenant's idempotency key; empty without one. */
  readonly idempotency: string;
  /** JSON of a second event; empty for none. */
  readonly then: string;
  readonly priority: (typeof PRIORITIES)[number];
  /** How many jobs may be open of this tenant, and in all; 0 for any number. */
  readonly mostOfTenant: number;
  readonly mostOfAll: number;
  /** How many of the tenant's jobs are listed at most, and how long after the newest, in milliseconds. */
  readonly mostListed: number;
  readonly listedMs: number;
}

/** From the first to the last. */
const PRIORITIES = ['high', 'normal', 'low'] as const;

interface Created {
  /** Why there is no new job: the key has one, or has one of another request, or the tenant or all have too many open. */
  readonly outcome: 'created' | 'found' | 'conflict' | 'tenant_full' | 'full';
  readonly jobId: string;
  /** When it comes before others; of a created job. */
  readonly turn: number;
}

export interface Outcome {
  readonly state: string;
  /** JSON of the last event. */
  readonly event: string;
  /** Field of the record for what came out, and its value; empty for nothing. */
  readonly field?: string;
  readonly value?: string;
  /** Whether the same request may succeed when it is sent again. */
  readonly retryable?: boolean;
  /** Whether it ends because its deadline has passed. */
  readonly late?: boolean;
}

/** What became of a piece of text: it is in the log, or why it is not, or how many of its bytes are there already. */
export type Appended = 'there' | 'ended' | 'gap' | 'diverged' | 'superseded' | { readonly knownBytes: number };

const REFUSALS: Readonly<Record<number, Exclude<Appended, object>>> = {
  [-1]: 'there',
  [-2]: 'ended',
  [-3]: 'gap',
  [-4]: 'diverged',
  [-5]: 'superseded',
};

const CREATE_OUTCOMES: Readonly<Record<number, Created['outcome']>> = {
  [1]: 'created',
  [0]: 'found',
  [-1]: 'conflict',
  [-2]: 'tenant_full',
  [-3]: 'full',
};

/** One function for each script on jobs; the order of keys and arguments is known here and in the scripts alone. */
export class JobScripts {
  readonly #scripts: Readonly<Record<JobScriptName, Script>>;

  constructor(redis: RedisConnection) {
    const names = Object.keys(JOB_LUA) as JobScriptName[];
    this.#scripts = Object.fromEntries(
      names.map((name) => [name, defineScript(redis, name, JOB_LUA[name])]),
    ) as Readonly<Record<JobScriptName, Script>>;
  }

  /** Writes the record, unless the idempotency key stands for a job already. */
  async create(job: NewRecord): Promise<Created> {
    const { jobId, digest, timeoutMs, keepMs, tenant, request, event, idempotency, then, priority } = job;
    const keys = [
      ...keysOf(jobId),
      KEYS.deadlines,
      KEYS.unsent,
      KEYS.idempotency(idempotency),
      KEYS.turns,
      ...PRIORITIES.map((each) => KEYS.openJobs(tenant, each)),
      KEYS.jobsOf(tenant),
    ];
    const rank = PRIORITIES.indexOf(priority) + 1;
    const args = [jobId, digest, timeoutMs, keepMs, tenant, request, event, idempotency, KEYS.record(''), then];
    const limits = [rank, job.mostOfTenant, job.mostOfAll, job.mostListed, job.listedMs];
    const reply = (await this.#run('segueCreate', keys, jobId, [...args, ...limits])) as [number, string, number?];
    const [code, known, turn = 0] = reply;
    return { outcome: CREATE_OUTCOMES[code] ?? 'conflict', jobId: known, turn };
  }

  async read(jobId: string): Promise<Reading> {
    const [nowMs, flat] = (await this.#job('segueRead', jobId)) as [number, string[]];
    return { nowMs, hash: fromPairs(flat) };
  }

  /**
   * @param worker who runs the task from now on.
   * @returns `deaths`: earlier runs of this task that ended with their process; `diedIn`: who ran them.
   */
  async begin(
    jobId: string,
    stage: string,
    event: string,
    taskId: string,
    worker: string,
  ): Promise<Reading & { readonly deaths: number; readonly diedIn: readonly string[] }> {
    const reply = await this.#job('segueBegin', jobId, stage, event, taskId, worker);
    const [nowMs, deaths, diedIn, flat] = reply as [number, number, string, string[]];
    return { nowMs, deaths, diedIn: diedIn.split(' ').filter((id) => id !== ''), hash: fromPairs(flat) };
  }

  async letGo(jobId: string, taskId: string): Promise<void> {
    await this.#job('segueLetGo', jobId, taskId);
  }

  /**
   * @param taskId whose run has ended with this.
   * @param bundle what the field's value holds where it is of the same bundle, and the event where the one before did not.
   * @param epoch of the answer that the value belongs to; none where it belongs to any.
   * @returns false for another epoch, of which nothing is kept.
   */
  async endStage(
    jobId: string,
    stage: string,
    event: string,
    field: string,
    value: string,
    taskId: string,
    bundle: { readonly mark: string; readonly restarted: string } = { mark: '', restarted: '' },
    epoch: number | '' = '',
  ): Promise<boolean> {
    const args = [stage, event, field, value, taskId, bundle.mark, bundle.restarted, epoch];
    return (await this.#run('segueEndStage', [...keysOf(jobId), KEYS.pace], jobId, args)) !== -5;
  }

  /** @param at bytes of the answer before the piece. */
  async appendText(jobId: string, at: number, piece: string, event: string, epoch: number): Promise<Appended> {
    const reply = Number(await this.#job('segueAppendText', jobId, at, piece, event, epoch));
    return REFUSALS[reply] ?? { knownBytes: reply };
  }

  /** @returns the new epoch, or why there is none. */
  async restart(jobId: string, epoch: number, event: string): Promise<number | 'ended' | 'superseded'> {
    const reply = Number(await this.#job('segueRestart', jobId, epoch, event));
    return reply > 0 ? reply : reply === -2 ? 'ended' : 'superseded';
  }

  /** Begins the answer anew unless that was done already; see `anew` of the record. */
  async beginAnew(jobId: string, epoch: number, event: string): Promise<void> {
    await this.#job('segueBeginAnew', jobId, epoch, event);
  }

  /** @param taskId whose run has ended with this. */
  async addSegment(
    jobId: string,
    index: number,
    event: string,
    ranMs: number,
    epoch: number,
    taskId: string,
  ): Promise<void> {
    await this.#job('segueAddSegment', jobId, index, event, ranMs, epoch, taskId);
  }

  /** @returns whether this call ended the job: only the first end counts. */
  async finish(jobId: string, outcome: Outcome): Promise<boolean> {
    const { state, event, field = '', value = '', retryable = false, late = false } = outcome;
    const keys = [...keysOf(jobId), KEYS.deadlines, KEYS.unsent, KEYS.ended, KEYS.turns, KEYS.pace];
    const args = [
      jobId,
      state,
      event,
      field,
      value,
      retryable ? 1 : 0,
      KEYS.idempotency(''),
      KEYS.usage(''),
      late ? 1 : 0,
    ];
    return (await this.#run('segueFinish', keys, jobId, args)) === 1;
  }

  /** State, answer, and the events after one of them, as of one moment. */
  async page(
    jobId: string,
    after: string,
    atMost: number,
  ): Promise<{
    readonly state: string | undefined;
    readonly answer: string | undefined;
    readonly entries: readonly (readonly [id: string, body: string])[];
  }> {
    const reply = await this.#job('seguePage', jobId, `(${after}`, atMost);
    const [state, answer, entries] = reply as [string | null, string | null, [string, [string, string]][]];
    return {
      state: state ?? undefined,
      answer: answer ?? undefined,
      entries: entries.map(([id, [, body]]) => [id, body] as const),
    };
  }

  async countRecompute(jobId: string, taskId: string): Promise<number> {
    return Number(await this.#job('segueCountRecompute', jobId, taskId));
  }

  /** Jobs that have not ended by their deadline, and those that have been written down for so long without their flow. */
  async sweep(
    forgottenAfterMs: number,
    atMost: number,
  ): Promise<{ readonly late: readonly string[]; readonly forgotten: readonly string[] }> {
    const reply = await this.#scripts.segueSweep([KEYS.deadlines, KEYS.unsent], [forgottenAfterMs, atMost]);
    const [late, forgotten] = reply as [string[], string[]];
    return { late, forgotten };
  }

  /** Strikes jobs off the list of those that have ended. @returns which of them were on it: each is struck off once. */
  async strikeOff(jobIds: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set((await this.#scripts.segueStrikeOff([KEYS.ended], jobIds)) as string[]);
  }

  async heartbeat(stage: string, workerId: string, info: string, forgetMs: number): Promise<void> {
    await this.#scripts.segueHeartbeat([KEYS.workers(stage), KEYS.workerInfo(stage)], [workerId, info, forgetMs]);
  }

  async liveWorkers(stage: string, withinMs: number): Promise<string[]> {
    const keys = [KEYS.workers(stage), KEYS.workerInfo(stage)];
    const infos = (await this.#scripts.segueLiveWorkers(keys, [withinMs])) as (string | null)[];
    return infos.filter((info) => info !== null);
  }

  /**
   * What a further job of the tenant would find before it.
   * @param waiting BullMQ's keys of the tasks that wait. @param inWork and of those in work.
   */
  async outlook(
    tenant: string,
    priority: NewRecord['priority'],
    { waiting, inWork }: { readonly waiting: readonly string[]; readonly inWork: readonly string[] },
  ): Promise<{
    readonly ahead: readonly number[];
    readonly active: readonly number[];
    readonly paceMs: Readonly<Record<string, number>>;
  }> {
    const open = PRIORITIES.map((each) => KEYS.openJobs(tenant, each));
    const keys = [KEYS.pace, KEYS.turns, ...open, ...waiting, ...inWork];
    const args = ['', tenant, PRIORITIES.indexOf(priority) + 1, KEYS.deadlines];
    const reply = await this.#scripts.segueOutlook(keys, args);
    const [ahead, active, pace] = reply as [number[], number[], string[]];
    const paceMs = Object.entries(fromPairs(pace)).map(([stage, ms]) => [stage, figureOf(ms) ?? 0] as const);
    return { ahead, active, paceMs: Object.fromEntries(paceMs) };
  }

  #job(name: JobScriptName, jobId: string, ...args: readonly (string | number)[]): Promise<unknown> {
    return this.#run(name, keysOf(jobId), jobId, args);
  }

  #run(
    name: JobScriptName,
    keys: readonly string[],
    jobId: string,
    args: readonly (string | number)[],
  ): Promise<unknown> {
    return this.#scripts[name](keys, [KEYS.signal(jobId), ...args]);
  }
}

function keysOf(jobId: string): readonly [record: string, events: string] {
  return [KEYS.record(jobId), KEYS.events(jobId)];
}
