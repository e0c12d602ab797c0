#!lua
local state, events = unpack(KEYS)
local token, entry, publish, wake, step = unpack(ARGV, 1, 5)
local rest = 6
-- log_events: adds a batch to the log of the running step. Unlike append_events it changes neither
-- the lease nor the expiry: between renewals, a batch costs no more than this.
--
-- Safe to repeat: a batch whose last id the log already has counts as written.
--
-- KEYS  state, events
-- ARGV  token
--       entry             the entry's id: STEP-SEQUENCE of the batch's last event
--       publish           PUBLISH, or SPUBLISH on a Cluster
--       wake              the channel that wakes followers
--       step
--       rest              the events as in append_events, at most 3,900 (Lua unpacks fewer than
--                         8,000 values)
--
-- Replies  1, or 0 if the lease is no longer this token's. append_events then says why
if redis.call('HGET', state, 'token') ~= token then
  return 0
end
local added = redis.pcall('XADD', events, entry, unpack(ARGV, rest))
if type(added) ~= 'table' then
  -- A hint: a user without the right to publish must not fail a script that has written.
  redis.pcall(publish, wake, step)
elseif not string.find(added.err, 'equal or smaller', 1, true) then
  return added
end
return 1
