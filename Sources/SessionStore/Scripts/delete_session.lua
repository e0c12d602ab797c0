#!lua flags=allow-oom
-- delete_session: removes every key of a session in one step.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps
-- ARGV  1 the command that wakes followers (PUBLISH, or SPUBLISH on a Cluster)  2 the wake channel
--       3 prefix of the replicas' channels  4 the session's name
--
-- Answers  {1, now} when there was a session, {0, now} when there was none.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local s = redis.pcall('HMGET', KEYS[2], 'status', 'owner', 'fence')
local removed = redis.call('DEL', unpack(KEYS))
if removed > 0 then
  -- Hints: a user without the right to publish must not fail a script that has written.
  if s[1] == 'running' then
    redis.pcall('PUBLISH', ARGV[3] .. (s[2] or ''), ARGV[4] .. ' ' .. (s[3] or '0'))
  end
  redis.pcall(ARGV[1], ARGV[2], 'deleted')
  return {1, now}
end
return {0, now}
