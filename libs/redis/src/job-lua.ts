import { NOW_LUA } from './lua.js';
import { SCHEMA } from './schema.js';
import { TURN_LUA } from './turn-lua.js';
import { USAGE_LUA } from './usage-scripts.js';

/*
 * The writes on jobs that must be atomic, and the reads that need Redis' clock. In all of them KEYS[1] is the job record,
 * KEYS[2] its event log, ARGV[1] its signal channel. `JobScripts` is the only caller.
 */
const PRELUDE = `${NOW_LUA}
local function ended()
  local state = redis.call('HGET', KEYS[1], 'state')
  return not state or state == 'completed' or state == 'failed' or state == 'cancelled'
end
local function emit(body)
  local id = redis.call('XADD', KEYS[2], '*', 'body', body)
  redis.call('PUBLISH', ARGV[1], 'event')
  return id
end
-- Milliseconds that one job takes of a stage, as of late.
local function keepPace(pace, stage, ms)
  local before = tonumber(redis.call('HGET', pace, stage))
  -- One that is no number would stay for ever: NaN and everything compares as false.
  redis.call('HSET', pace, stage, tostring(before and before >= 0 and before < math.huge and before * 0.9 + ms * 0.1 or tonumber(ms)))
  redis.call('PEXPIRE', pace, 600000)
end
-- A stage that was not done by the deadline takes as long at least: else the quick alone would be measured. Twice the pace at
-- most counts, for one job may hang.
local function keepLatePace(pace, stage, since)
  local known, started = tonumber(redis.call('HGET', pace, stage)), tonumber(since)
  if not known or not started or now() - started <= known then return end
  keepPace(pace, stage, math.min(now() - started, 2 * known))
end
-- Whether the record is of a later version of this library.
local function later()
  return (tonumber(redis.call('HGET', KEYS[1], 'schema')) or 0) > ${SCHEMA}
end
-- The run of a task has ended and its process lives.
local function letGo(task)
  return redis.call('HDEL', KEYS[1], 'begun.' .. task, 'begunBy.' .. task)
end
local function epoch()
  return redis.call('HGET', KEYS[1], 'epoch') or '0'
end
local function restart(body)
  redis.call('HSET', KEYS[1], 'text', '')
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if field:sub(1, 8) == 'segment.' then redis.call('HDEL', KEYS[1], field) end
  end
  emit(body)
  return redis.call('HINCRBY', KEYS[1], 'epoch', 1)
end
`;

/**
 * An idempotency key (KEYS[5]) finds the job that it made. A job that failed for a passing reason makes room for a new one.
 * KEYS[7] to [9] hold the tenant's jobs that have not ended, of high, normal and low priority, by turn; ARGV[12] is which of
 * them this one belongs to. ARGV[13] and [14]: how many jobs may be open of this tenant, and in all; 0 for any number.
 * KEYS[10] lists the tenant's jobs by creation, the last ARGV[15] of them, until ARGV[16] ms after the newest.
 * Returns what happened (1: created, 0: found, -1: found with another request, -2: the tenant has too many, -3: there are
 * too many), the job's id, and its turn.
 */
const CREATE = `
if ARGV[9] ~= '' then
  local known = redis.call('GET', KEYS[5])
  local digest = known and redis.call('HGET', ARGV[10] .. known, 'digest')
  if digest then
    if digest ~= ARGV[3] then return {-1, known} end
    if redis.call('HGET', ARGV[10] .. known, 'retryable') ~= '1' then return {0, known} end
  end
end
local rank, mostOfTenant, mostOfAll = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local open, ahead = 0, {}
for class = 1, 3 do
  local jobs = KEYS[6 + class]
  -- One whose record is gone was never ended: nobody was there for longer than it is kept.
  local first = redis.call('ZRANGE', jobs, 0, 0)[1]
  if first and redis.call('EXISTS', ARGV[10] .. first) == 0 then redis.call('ZREM', jobs, first) end
  open = open + redis.call('ZCARD', jobs)
  if class <= rank then ahead[class] = jobs end
end
if mostOfTenant > 0 and open >= mostOfTenant then return {-2, ''} end
if mostOfAll > 0 and redis.call('ZCARD', KEYS[3]) >= mostOfAll then return {-3, ''} end
if redis.call('ZCARD', KEYS[3]) == 0 then redis.call('DEL', KEYS[6]) end
local turn = nextTurn(KEYS[6], KEYS[3], ARGV[6], ahead)
local created = now()
local deadline = created + ARGV[4]
local expires = deadline + ARGV[5]
redis.call('HSET', KEYS[1], 'schema', ${SCHEMA}, 'digest', ARGV[3], 'state', 'queued', 'createdAtMs', created, 'deadlineAtMs', deadline,
  'keepMs', ARGV[5], 'tenant', ARGV[6], 'request', ARGV[7], 'text', '', 'idempotency', ARGV[9],
  'turn', turn, 'openIn', KEYS[6 + rank])
redis.call('ZADD', KEYS[6 + rank], turn, ARGV[2])
emit(ARGV[8])
if ARGV[11] ~= '' then emit(ARGV[11]) end
redis.call('PEXPIREAT', KEYS[1], expires)
redis.call('PEXPIREAT', KEYS[2], expires)
if ARGV[9] ~= '' then redis.call('SET', KEYS[5], ARGV[2], 'PXAT', expires) end
redis.call('ZADD', KEYS[3], deadline, ARGV[2])
redis.call('ZADD', KEYS[4], created, ARGV[2])
redis.call('ZADD', KEYS[10], 0, string.format('%013d-%s', created, ARGV[2]))
redis.call('ZREMRANGEBYRANK', KEYS[10], 0, -1 - ARGV[15])
redis.call('PEXPIRE', KEYS[10], ARGV[16])
return {1, ARGV[2], turn}
`;

/** The record as it is now, and the time. */
const READ = `return {now(), redis.call('HGETALL', KEYS[1])}`;

/** State, answer, and the events after ARGV[2], as of one moment. No MULTI, which a full Redis refuses. */
const PAGE = `
local record = redis.call('HMGET', KEYS[1], 'state', 'answer')
return {record[1], record[2], redis.call('XRANGE', KEYS[2], ARGV[2], '+', 'COUNT', ARGV[3])}
`;

/**
 * Notes that a stage has begun, once, and that ARGV[5] runs the task. Returns the time, how many runs of this task ended with their
 * process, who ran it then (separated by spaces), and the record. One of a later version is left as it is.
 */
const BEGIN = `
local deaths, diedIn = 0, ''
if not ended() and not later() then
  if redis.call('HSETNX', KEYS[1], ARGV[2] .. '.startedAtMs', now()) == 1 then
    redis.call('HSET', KEYS[1], 'state', 'running')
    emit(ARGV[3])
  end
  deaths = redis.call('HINCRBY', KEYS[1], 'begun.' .. ARGV[4], 1) - 1
  diedIn = redis.call('HGET', KEYS[1], 'begunBy.' .. ARGV[4]) or ''
  redis.call('HSET', KEYS[1], 'begunBy.' .. ARGV[4], diedIn .. (diedIn == '' and '' or ' ') .. ARGV[5])
end
return {now(), deaths, diedIn, redis.call('HGETALL', KEYS[1])}
`;

const LET_GO = `return letGo(ARGV[2])`;

/**
 * Keeps a stage's result (ARGV[4], [5]: field and value, which a later run replaces) and notes its end, once, and the run's.
 * KEYS[3] is the pace of the stages. A picture that was encoded by another bundle (ARGV[7]: the begin of its keys) than before begins
 * an unfinished answer anew, with the event ARGV[8]: words and masks of two bundles are never mixed. -5: of another epoch than ARGV[9],
 * where that is given.
 */
const END_STAGE = `
if ended() then return 0 end
if ARGV[9] ~= '' and epoch() ~= ARGV[9] then return -5 end
if ARGV[7] ~= '' then
  local known = redis.call('HMGET', KEYS[1], 'encoded', 'generated', 'generate.startedAtMs')
  if known[1] and not known[2] and known[3] and not known[1]:find(ARGV[7], 1, true) then restart(ARGV[8]) end
end
letGo(ARGV[6])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], ARGV[4], ARGV[5]) end
if redis.call('HSETNX', KEYS[1], ARGV[2] .. '.doneAtMs', now()) == 1 then
  emit(ARGV[3])
  local started = redis.call('HGET', KEYS[1], ARGV[2] .. '.startedAtMs')
  if started and ARGV[2] ~= 'decode' then keepPace(KEYS[3], ARGV[2], now() - started) end
end
return 1
`;

/**
 * Appends a piece of text (ARGV[3] at byte ARGV[2]) where the log has not got it. -1: it is there, -2: the job has ended,
 * -3: a gap, -4: the log says something else, -5: of another epoch; otherwise how many bytes of the piece are there already.
 */
const APPEND_TEXT = `
if ended() then return -2 end
if epoch() ~= ARGV[5] then return -5 end
local text = redis.call('HGET', KEYS[1], 'text')
local at = tonumber(ARGV[2])
if at > #text then return -3 end
local piece, known = ARGV[3], text:sub(at + 1)
if #known >= #piece then return known:sub(1, #piece) == piece and -1 or -4 end
if piece:sub(1, #known) ~= known then return -4 end
if #known > 0 then return #known end
redis.call('HSET', KEYS[1], 'text', text .. piece)
emit(ARGV[4])
return -1
`;

/** Begins the answer anew: what the log holds of text and segments counts no more. Returns the new epoch, or as above. */
const RESTART = `
if ended() then return -2 end
if epoch() ~= ARGV[2] then return -5 end
return restart(ARGV[3])
`;

/**
 * Begins the answer anew as RESTART does. Where its words are complete nobody writes them again by himself: `anew` says for which
 * epoch somebody must be told to.
 */
const BEGIN_ANEW = `
if ended() or epoch() ~= ARGV[2] then return 0 end
local complete = redis.call('HDEL', KEYS[1], 'generated')
local next = restart(ARGV[3])
if complete == 1 then redis.call('HSET', KEYS[1], 'anew', next) end
return next
`;

/** Appends a segment once for its index, and remembers its place in the log; one of another epoch is dropped. */
const ADD_SEGMENT = `
if ended() then return 0 end
letGo(ARGV[6])
if epoch() ~= ARGV[5] then return 0 end
local field = 'segment.' .. ARGV[2]
if redis.call('HEXISTS', KEYS[1], field) == 0 then
  redis.call('HSET', KEYS[1], field, emit(ARGV[3]))
  redis.call('HINCRBYFLOAT', KEYS[1], 'decodeMs', ARGV[4])
end
return 1
`;

/**
 * Ends the job; the first end wins. ARGV: state, event, field and value of the outcome, whether a retry may succeed, [10] whether
 * its deadline has passed. What it has used is counted in the same step.
 */
const FINISH = `
if ended() then return 0 end
local before = redis.call('HMGET', KEYS[1], 'state', 'tenant', 'turn', 'openIn')
if before[4] then
  redis.call('ZREM', before[4], ARGV[2])
  endTurn(KEYS[6], before[2], before[3], before[1], ARGV[3])
end
countUsage(ARGV[9], before[2], ARGV[3], 1)
if ARGV[3] == 'completed' then
  local made = redis.call('HGET', KEYS[1], 'generated')
  local _, generated = pcall(cjson.decode, made or '')
  if type(generated) == 'table' then
    countUsage(ARGV[9], before[2], 'tokens', generated.tokens)
    countUsage(ARGV[9], before[2], 'masks', generated.segments)
  end
  keepPace(KEYS[7], 'decode', redis.call('HGET', KEYS[1], 'decodeMs') or 0)
end
if ARGV[10] == '1' then
  local at = redis.call('HMGET', KEYS[1], 'encode.startedAtMs', 'encode.doneAtMs', 'generate.startedAtMs', 'generate.doneAtMs', 'decode.startedAtMs')
  if not at[2] then keepLatePace(KEYS[7], 'encode', at[1]) end
  if not at[4] then keepLatePace(KEYS[7], 'generate', at[3]) end
  if at[4] and at[5] then keepLatePace(KEYS[7], 'decode', math.max(at[4], at[5])) end
end
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'retryable', ARGV[7])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], ARGV[5], ARGV[6]) end
redis.call('XADD', KEYS[2], '*', 'body', ARGV[4])
redis.call('PUBLISH', ARGV[1], 'end')
local keepMs = redis.call('HGET', KEYS[1], 'keepMs')
local idempotency = redis.call('HGET', KEYS[1], 'idempotency')
redis.call('PEXPIRE', KEYS[1], keepMs)
redis.call('PEXPIRE', KEYS[2], keepMs)
if idempotency ~= '' then redis.call('PEXPIRE', ARGV[8] .. idempotency, keepMs) end
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

/**
 * Members of the sorted set KEYS[1] whose score has passed, and of KEYS[2] those whose score is ARGV[1] ms and more in the past;
 * of each at most ARGV[2], the oldest first.
 */
const SWEEP = `
local function before(key, ms) return redis.call('ZRANGEBYSCORE', key, 0, now() - ms, 'LIMIT', 0, ARGV[2]) end
return {before(KEYS[1], 0), before(KEYS[2], ARGV[1])}
`;

/** Strikes jobs (ARGV) off the list KEYS[1]; returns those that were on it. */
const STRIKE_OFF = `
local struck = {}
for _, id in ipairs(ARGV) do
  -- They were read from its end.
  if redis.call('LREM', KEYS[1], -1, id) == 1 then struck[#struck + 1] = id end
end
return struck
`;

/** A worker (ARGV[1]) says that it lives and what it is (ARGV[2]); those silent for ARGV[3] ms are forgotten. */
const HEARTBEAT = `
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], 0, now() - ARGV[3])
for _, id in ipairs(gone) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
end
redis.call('ZADD', KEYS[1], now(), ARGV[1])
return redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
`;

/** What the workers say of themselves that were heard of within ARGV[1] ms. */
const LIVE_WORKERS = `
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], now() - ARGV[1], '+inf')
if #ids == 0 then return {} end
return redis.call('HMGET', KEYS[2], unpack(ids))
`;

/**
 * How many tasks of each queue a further job of the tenant would stand behind, how many are in work, and the pace of the stages.
 * KEYS[6] and on: BullMQ's sorted sets of the tasks that wait, and as many lists of those in work. KEYS[1]: pace, [2]: turns, [3] to [5]: the tenant's open jobs. ARGV[2]: tenant, [3]: rank
 * of the job's priority, [4]: deadlines.
 */
const OUTLOOK = `
local open = {}
for class = 1, tonumber(ARGV[3]) do open[class] = KEYS[2 + class] end
local turn = nextTurn(KEYS[2], ARGV[4], ARGV[2], open)
local place = turn * 3 + ARGV[3] + 1
local ahead, active = {}, {}
local queues = (#KEYS - 5) / 2
for queue = 1, queues do
  ahead[queue] = redis.call('ZCOUNT', KEYS[5 + queue], '-inf', '(' .. string.format('%.0f', place * 4294967296))
  active[queue] = redis.call('LLEN', KEYS[5 + queues + queue])
end
return {ahead, active, redis.call('HGETALL', KEYS[1])}
`;

const BODIES = {
  segueCreate: CREATE,
  segueRead: READ,
  seguePage: PAGE,
  segueBegin: BEGIN,
  segueLetGo: LET_GO,
  segueEndStage: END_STAGE,
  segueAppendText: APPEND_TEXT,
  segueRestart: RESTART,
  segueBeginAnew: BEGIN_ANEW,
  segueAddSegment: ADD_SEGMENT,
  segueFinish: FINISH,
  segueCountRecompute: COUNT_RECOMPUTE,
  segueSweep: SWEEP,
  segueStrikeOff: STRIKE_OFF,
  segueHeartbeat: HEARTBEAT,
  segueLiveWorkers: LIVE_WORKERS,
  segueOutlook: OUTLOOK,
} as const;

export type JobScriptName = keyof typeof BODIES;

/** The scripts' text by the name of their command. */
export const JOB_LUA = Object.fromEntries(
  Object.entries(BODIES).map(([name, body]) => [name, PRELUDE + TURN_LUA + USAGE_LUA + body]),
) as Readonly<Record<JobScriptName, string>>;
