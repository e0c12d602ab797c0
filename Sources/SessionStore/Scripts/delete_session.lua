#!lua flags=allow-oom
-- delete_session: removes every key of a session in one step.
--
-- Safe to repeat: it removes the epoch that the caller has seen, and nothing that was begun since then.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps  7 reasoning
-- ARGV  1 the command that wakes followers (PUBLISH, or SPUBLISH on a Cluster)  2 the wake channel
--       3 prefix of the replicas' channels  4 the session's name
--       5 the epoch that the caller has seen, '' for a session that has none
--       6 known layout: the highest one that this replica can read
--
-- Answers  {1, now} when there was a session, {0, now} when there was none, or another one by now;
--          {'newer', now, layout} when a build wrote the session that knows a later layout.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A state of another type can only be removed.
local s = redis.pcall('HMGET', KEYS[2], 'status', 'owner', 'fence', 'epoch', 'v')
if s.err then
  s = {}
end
if tonumber(s[5] or '1') > tonumber(ARGV[6]) then
  return {'newer', now, tonumber(s[5])}
end
if (s[4] or '') ~= ARGV[5] then
  return {0, now}
end
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
