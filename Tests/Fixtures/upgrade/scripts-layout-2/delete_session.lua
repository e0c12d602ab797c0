#!lua flags=allow-oom
local history, state, pending, ledger, events, steps, reasoning = unpack(KEYS)
local publish, wake, replica_channels, session, seen_epoch, known_layout = unpack(ARGV, 1, 6)
known_layout = tonumber(known_layout)
-- delete_session: removes every key of a session in one step.
--
-- Safe to repeat: it removes the epoch that the caller has read, and nothing that began since then.
--
-- KEYS  history, state, pending, ledger, events, steps, reasoning
-- ARGV  publish           PUBLISH, or SPUBLISH on a Cluster
--       wake              the channel that wakes followers
--       replica_channels  prefix of the replicas' channels
--       session           the session's name
--       seen_epoch        the epoch that the caller has read; '' for a session that has none
--       known_layout      the highest layout that this replica can read
--
-- Replies  {1, now} if the session existed; {0, now} if it did not, or if another one has its name;
--          {'newer', now, layout} if a build that knows a later layout wrote the session

-- Sets now: Redis's time in whole milliseconds. It stands still while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A state of another type can only be removed.
local found = redis.pcall('HMGET', state, 'status', 'owner', 'fence', 'epoch', 'v')
local status, owner, fence, epoch, version
if not found.err then
  status, owner, fence, epoch, version = unpack(found)
end
version = tonumber(version or '1')
if version > known_layout then
  return {'newer', now, version}
end
if (epoch or '') ~= seen_epoch then
  return {0, now}
end
local removed = redis.call('DEL', unpack(KEYS))
if removed > 0 then
  -- Hints: a user without the right to publish must not fail a script that has written.
  if status == 'running' then
    redis.pcall('PUBLISH', replica_channels .. (owner or ''), session .. ' ' .. (fence or '0'))
  end
  redis.pcall(publish, wake, 'deleted')
  return {1, now}
end
return {0, now}
