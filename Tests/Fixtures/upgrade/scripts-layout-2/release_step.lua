#!lua flags=allow-oom
local history, state, pending, ledger, events, steps, reasoning = unpack(KEYS)
local token, publish, wake = unpack(ARGV, 1, 3)
-- release_step: lets another replica take a step at once, when its owner must stop. The run does
-- not count as an attempt.
--
-- The script revokes the token, too: an earlier call of the owner whose reply was lost may arrive
-- at any later time, and must not hold the step again.
--
-- KEYS  history, state, pending, ledger, events, steps, reasoning
-- ARGV  token
--       publish           PUBLISH, or SPUBLISH on a Cluster
--       wake              the channel that wakes followers
--
-- Replies  {'released', now} (again for a repeated call, until a replica has taken the step);
--          {'lost', now, fence, intent} if the lease is not this token's

-- Sets now: Redis's time in whole milliseconds. It stands still while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local holder, fence, intent, status, released = unpack(redis.call('HMGET', state, 'token', 'fence', 'intent', 'status', 'released'))
local is_repeated = holder == '' and status == 'running' and released == token
if holder ~= token and not is_repeated then
  return {'lost', now, tonumber(fence or '0'), intent or ''}
end
if not is_repeated then
  redis.call('HSET', state, 'lease_until', 0, 'token', '', 'released', token)
  redis.call('HINCRBY', state, 'attempt', -1)
  -- A hint: a user without the right to publish must not fail a script that has written.
  redis.pcall(publish, wake, fence)
end
return {'released', now}
