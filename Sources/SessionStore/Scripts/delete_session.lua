#!lua flags=allow-oom
-- delete_session: removes every key of a session in one step.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps
-- ARGV  1 the command that wakes followers (PUBLISH, or SPUBLISH on a Cluster)  2 the wake channel
--
-- Answers  {1} when there was a session, {0} when there was none.
local removed = redis.call('DEL', unpack(KEYS))
if removed > 0 then
  -- A hint: a user without the right to publish must not fail a script that has written.
  redis.pcall(ARGV[1], ARGV[2], 'deleted')
  return {1}
end
return {0}
