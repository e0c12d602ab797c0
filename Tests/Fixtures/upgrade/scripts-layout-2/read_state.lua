#!lua flags=no-writes
local state, history, pending = unpack(KEYS)
-- read_state: returns what a session is at one instant. Replicas call it where Redis accepts no
-- transactions (MULTI, or TIME within one).
--
-- A key of a wrong type puts Redis's error in its place of the reply, as EXEC does.
--
-- KEYS  state, history, pending
-- ARGV  none
--
-- Replies  the state's fields and values; the history's length; the open calls and their JSON;
--          the reply of TIME
return {redis.pcall('HGETALL', state), redis.pcall('LLEN', history), redis.pcall('HGETALL', pending), redis.call('TIME')}
