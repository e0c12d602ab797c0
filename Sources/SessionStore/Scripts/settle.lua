#!lua flags=allow-oom
-- settle: releases the slot of a step that has ended, and charges the tokens that it has used less
-- those that were reserved; or takes back everything that was charged, if the step did not begin.
--
-- KEYS  running, rates
--       (both as in admit)
-- ARGV  step              names the step
--       requests          requests per minute, if the step did not begin and its request is to be
--                         taken back; else 0
--       tokens            tokens per minute; 0 for no limit
--       used              tokens
--       reserved          tokens
--       day               of UTC, on which they were reserved
--       is_repeated       whether an earlier call may have been applied: this one is applied only
--                         if the slot is still there
--
-- Replies  1, or 0 if it was not applied

-- uses  clock
if redis.call('ZREM', running, step) == 0 and is_repeated then
  return 0
end
local state = redis.call('HMGET', rates, 't', 'd', 'n')
if not (state[1] and state[2] and state[3]) then
  -- Nothing is charged any more: the account was erased, or was not used for a day.
  return 1
end
local us, minute, today = time[1] * 1000000 + time[2], 60000000, math.floor(now / 86400000)
local token_time, charged = tonumber(state[1]), tonumber(state[2])
if tokens > 0 then
  if used > reserved then
    -- An account cannot save up time that it did not use.
    token_time = math.max(token_time, us)
  end
  token_time = token_time + (used - reserved) * minute / tokens
end
local count = charged == today and tonumber(state[3]) or 0
count = math.max(0, count + used - (day == today and reserved or 0))
if charged == today then
  redis.call('HSET', rates, 't', token_time, 'n', count)
else
  redis.call('HSET', rates, 't', token_time, 'n', count, 'd', today)
end
if requests > 0 then
  local request_time = tonumber(redis.call('HGET', rates, 'r') or us)
  redis.call('HSET', rates, 'r', request_time - minute / requests)
end
return 1
