#!lua flags=no-writes
-- read_state: what a session is at one instant. Called where Redis takes no transactions (MULTI, or TIME within one).
--
-- A key of a wrong type is told in its place of the answer, as EXEC does it.
--
-- KEYS  1 state  2 history  3 pending
-- ARGV  none
--
-- Answers  the state's fields and values, the history's length, the open calls and their JSON, Redis's time as TIME gives it
return {redis.pcall('HGETALL', KEYS[1]), redis.pcall('LLEN', KEYS[2]), redis.pcall('HGETALL', KEYS[3]), redis.call('TIME')}
