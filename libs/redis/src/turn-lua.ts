/**
 * Fair turns (start-time fair queueing, Goyal et al. 1996, with jobs of equal cost). Each job gets a turn as it is created:
 * the turn that the service has reached, or the one after its tenant's last, whichever is later. Tasks are taken by turn, so
 * that tenants alternate however much one of them has waiting. A tenant's jobs of higher priority do not stand behind its
 * lower ones. All of it is written with the job's record in one step, so that no death in between can upset it.
 *
 * The hash of turns holds `reached`, the turn of the jobs that are completed, and `after.<tenant>`, the first turn
 * that a tenant may have after what it was given.
 */
export const TURN_LUA = `
-- Nothing, and what is no number (NaN compares as false), counts as 0.
local function count(value)
  local number = tonumber(value)
  return number and number >= 0 and number < math.huge and number or 0
end
local function highest(value, other)
  return math.max(count(value), count(other))
end
local function nextTurn(turns, deadlines, tenant, open)
  if redis.call('ZCARD', deadlines) == 0 then return 0 end
  local turn = highest(redis.call('HGET', turns, 'reached'), redis.call('HGET', turns, 'after.' .. tenant))
  for _, jobs in ipairs(open) do
    local last = redis.call('ZREVRANGE', jobs, 0, 0, 'WITHSCORES')
    if last[2] then turn = math.max(turn, last[2] + 1) end
  end
  return turn
end
local function endTurn(turns, tenant, turn, before, after)
  turn = tonumber(turn)
  if before ~= 'running' or not turn then return end
  redis.call('HSET', turns, 'after.' .. tenant, highest(redis.call('HGET', turns, 'after.' .. tenant), turn + 1))
  if after == 'completed' then redis.call('HSET', turns, 'reached', highest(redis.call('HGET', turns, 'reached'), turn)) end
end
`;
