import type { Redis } from 'ioredis';

/*
 * The writes that must be atomic. In all of them KEYS[1] is the job record, KEYS[2] its event log, ARGV[1] its signal channel.
 * Times are Redis' own, so that durations across machines are those of one clock.
 */
const PRELUDE = `
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function ended()
  local state = redis.call('HGET', KEYS[1], 'state')
  return not state or state == 'completed' or state == 'failed' or state == 'cancelled'
end
local function emit(body)
  local id = redis.call('XADD', KEYS[2], '*', 'body', body)
  redis.call('PUBLISH', ARGV[1], 'event')
  return id
end
`;

/** 1: created, 0: exists with the same digest, -1: exists with another. */
const CREATE = `
local known = redis.call('HGET', KEYS[1], 'digest')
if known then return known == ARGV[3] and 0 or -1 end
local created = now()
local expires = math.max(created, tonumber(ARGV[4])) + tonumber(ARGV[5])
redis.call('HSET', KEYS[1], 'digest', ARGV[3], 'state', 'queued', 'createdAtMs', created, 'deadlineAtMs', ARGV[4],
  'keepMs', ARGV[5], 'tenant', ARGV[6], 'request', ARGV[7], 'textLength', 0)
emit(ARGV[8])
redis.call('PEXPIREAT', KEYS[1], expires)
redis.call('PEXPIREAT', KEYS[2], expires)
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
redis.call('ZADD', KEYS[4], created, ARGV[2])
return 1
`;

/** Notes that a stage has begun, once, and returns the record. */
const BEGIN_STAGE = `
if not ended() and redis.call('HSETNX', KEYS[1], ARGV[2] .. '.startedAtMs', now()) == 1 then
  redis.call('HSET', KEYS[1], 'state', 'running')
  emit(ARGV[3])
end
return redis.call('HGETALL', KEYS[1])
`;

/** Keeps a stage's result (ARGV[4], [5]: field and value, which a later run replaces) and notes its end, once. */
const END_STAGE = `
if ended() then return 0 end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], ARGV[4], ARGV[5]) end
if redis.call('HSETNX', KEYS[1], ARGV[2] .. '.doneAtMs', now()) == 1 then emit(ARGV[3]) end
return 1
`;

/** Appends a piece of text if it begins where the log stands; otherwise returns where that is. -1: appended, -2: job has ended. */
const APPEND_TEXT = `
if ended() then return -2 end
local at = tonumber(redis.call('HGET', KEYS[1], 'textLength'))
if at ~= tonumber(ARGV[2]) then return at end
redis.call('HSET', KEYS[1], 'textLength', at + tonumber(ARGV[3]))
emit(ARGV[4])
return -1
`;

/** Appends a segment once for its index, and remembers its place in the log. */
const ADD_SEGMENT = `
if ended() then return 0 end
local field = 'segment.' .. ARGV[2]
if redis.call('HEXISTS', KEYS[1], field) == 0 then
  redis.call('HSET', KEYS[1], field, emit(ARGV[3]))
  redis.call('HINCRBYFLOAT', KEYS[1], 'decodeMs', ARGV[4])
end
return 1
`;

/** Ends the job; the first end wins. ARGV: state, event, field and value of the outcome. */
const FINISH = `
if ended() then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[3])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], ARGV[5], ARGV[6]) end
redis.call('XADD', KEYS[2], '*', 'body', ARGV[4])
redis.call('PUBLISH', ARGV[1], 'end')
local keepMs = redis.call('HGET', KEYS[1], 'keepMs')
redis.call('PEXPIRE', KEYS[1], keepMs)
redis.call('PEXPIRE', KEYS[2], keepMs)
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('ZREM', KEYS[4], ARGV[2])
redis.call('LPUSH', KEYS[5], ARGV[2])
redis.call('LTRIM', KEYS[5], 0, 9999)
redis.call('PEXPIRE', KEYS[5], keepMs)
return 1
`;

/** Counts a lost tensor of one task; returns how many times it has happened to that task. */
const COUNT_RECOMPUTE = `
if ended() then return 0 end
redis.call('HINCRBY', KEYS[1], 'recomputes', 1)
return redis.call('HINCRBY', KEYS[1], 'recomputes.' .. ARGV[2], 1)
`;

const SCRIPTS = {
  segueCreate: { keys: 4, lua: CREATE },
  segueBeginStage: { keys: 2, lua: BEGIN_STAGE },
  segueEndStage: { keys: 2, lua: END_STAGE },
  segueAppendText: { keys: 2, lua: APPEND_TEXT },
  segueAddSegment: { keys: 2, lua: ADD_SEGMENT },
  segueFinish: { keys: 5, lua: FINISH },
  segueCountRecompute: { keys: 2, lua: COUNT_RECOMPUTE },
} as const;

type Arguments = readonly (string | number)[];

/** A connection that knows Segue's scripts. */
export interface ScriptedRedis extends Redis {
  segueCreate(...keysAndArguments: Arguments): Promise<1 | 0 | -1>;
  segueBeginStage(...keysAndArguments: Arguments): Promise<string[]>;
  segueEndStage(...keysAndArguments: Arguments): Promise<1 | 0>;
  segueAppendText(...keysAndArguments: Arguments): Promise<number>;
  segueAddSegment(...keysAndArguments: Arguments): Promise<1 | 0>;
  segueFinish(...keysAndArguments: Arguments): Promise<1 | 0>;
  segueCountRecompute(...keysAndArguments: Arguments): Promise<number>;
}

export function withScripts(redis: Redis): ScriptedRedis {
  for (const [name, { keys, lua }] of Object.entries(SCRIPTS)) {
    redis.defineCommand(name, { numberOfKeys: keys, lua: PRELUDE + lua });
  }
  return redis as ScriptedRedis;
}
