import { KEYS } from './keys.js';
import { defineScript, figureOf, fromPairs, NOW_LUA, type Script } from './lua.js';
import type { RedisConnection } from './open-redis.js';

/** Counts ARGV[1] requests at this time, in steps of 5 s; those older than a minute are forgotten. */
const ARRIVE = `${NOW_LUA}
local time = now()
local step = math.floor(time / 5000)
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local counted = tonumber(field)
  if not counted or counted < step - 12 then redis.call('HDEL', KEYS[1], field) end
end
redis.call('HINCRBY', KEYS[1], string.format('%d', step), ARGV[1])
return redis.call('PEXPIRE', KEYS[1], 120000)
`;

/**
 * Adds what a worker of the stage ARGV[1] has done: tasks, milliseconds in which it was busy, tasks done in that time. Old
 * work counts less and less: the sums are halved whenever they have grown large, those of tasks for all stages at once.
 */
const ADD_WORK = `
-- A sum that is no whole number is begun anew.
local function add(field, more)
  local sum = redis.pcall('HINCRBY', KEYS[1], field, more)
  if type(sum) == 'number' then return sum end
  redis.call('HSET', KEYS[1], field, more)
  return tonumber(more)
end
local function halve(fields)
  for _, field in ipairs(fields) do
    redis.call('HSET', KEYS[1], field, math.floor((tonumber(redis.call('HGET', KEYS[1], field)) or 0) / 2))
  end
end
local stage = ARGV[1]
if add(stage .. '.done', ARGV[2]) > 2000 then halve({'encode.done', 'generate.done', 'decode.done'}) end
add(stage .. '.busyDone', ARGV[4])
if add(stage .. '.busyMs', ARGV[3]) > 120000 then halve({stage .. '.busyDone', stage .. '.busyMs'}) end
return 1
`;

/** Requests of the last 25 to 30 s, in how many ms, and the sums of work. */
const DEMAND = `${NOW_LUA}
local time = now()
local step = math.floor(time / 5000)
local came = 0
for back = 0, 5 do
  came = came + (tonumber(redis.call('HGET', KEYS[1], string.format('%d', step - back))) or 0)
end
return {came, 25000 + time % 5000, redis.call('HGETALL', KEYS[2])}
`;

/** What workers of a stage have done, in whole numbers. */
export interface Work {
  readonly done: number;
  /** Milliseconds in which a worker had its hands full, and the tasks that it did then. */
  readonly busyMs: number;
  readonly busyDone: number;
}

export interface Demand {
  readonly arrivalsPerSecond: number;
  /** By a stage's name; sums in which old work counts less. */
  work(stage: string): Work;
}

/** Counts what comes and what is done, for whoever decides how many workers there should be. */
export class LoadScripts {
  readonly #arrive: Script;
  readonly #addWork: Script;
  readonly #demand: Script;

  constructor(redis: RedisConnection) {
    this.#arrive = defineScript(redis, 'segueArrive', ARRIVE);
    this.#addWork = defineScript(redis, 'segueAddWork', ADD_WORK);
    this.#demand = defineScript(redis, 'segueDemand', DEMAND);
  }

  /** Counts requests that have come, admitted or not. */
  async arrive(requests: number): Promise<void> {
    await this.#arrive([KEYS.arrivals], [requests]);
  }

  async addWork(stage: string, { done, busyMs, busyDone }: Work): Promise<void> {
    await this.#addWork([KEYS.work], [stage, done, busyMs, busyDone]);
  }

  /** What came and what was done lately, the same for whoever asks. */
  async demand(): Promise<Demand> {
    const reply = await this.#demand([KEYS.arrivals, KEYS.work], []);
    const [came, withinMs, flat] = reply as [number, number, string[]];
    const sums = fromPairs(flat);
    const sum = (field: string): number => figureOf(sums[field]) ?? 0;
    return {
      arrivalsPerSecond: (came * 1000) / withinMs,
      work: (stage) => ({
        done: sum(`${stage}.done`),
        busyMs: sum(`${stage}.busyMs`),
        busyDone: sum(`${stage}.busyDone`),
      }),
    };
  }
}
