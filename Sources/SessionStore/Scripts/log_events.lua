#!lua
-- log_events: adds a batch to the log of the running step. Unlike append_events it leaves the lease and the expiry alone: between renewals, this is
-- all that a batch costs.
--
-- Safe to repeat: a batch whose last id the log already has counts as written.
--
-- KEYS  1 state  2 events
-- ARGV  1 token  2 the entry's id, STEP-SEQUENCE of the batch's last event  3 publish command  4 wake channel  5 step
--       6.. the events as in append_events, at most 3,900 (Lua unpacks no more than 8,000 values)
--
-- Answers  1, or 0 when the token is not the lease's any more; append_events then says what has become of it.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
local added = redis.pcall('XADD', KEYS[2], ARGV[2], unpack(ARGV, 6))
if type(added) ~= 'table' then
  -- A hint: a user without the right to publish must not fail a script that has written.
  redis.pcall(ARGV[3], ARGV[4], ARGV[5])
elseif not string.find(added.err, 'equal or smaller', 1, true) then
  return added
end
return 1
