#!lua
-- append_events: adds a batch to the log of the running step and extends its lease. An empty batch
-- only renews the lease.
--
-- Safe to repeat: a batch whose last id the log already has counts as written.
--
-- KEYS  history, state, pending, ledger, events, steps, reasoning
-- ARGV  token
--       step
--       last_sequence     the number of the batch's last event; 0 for a renewal
--       lease             milliseconds
--       ttl               milliseconds, 0 for none
--       publish           PUBLISH, or SPUBLISH on a Cluster
--       wake              the channel that wakes followers
--       asking            the owner's process if it is about to ask the model, else ''. (begin_step
--                         and take_over record it themselves if the history comes with their
--                         reply.)
--       max_age           of the session, in milliseconds from its creation; 0 for none
--       grace             milliseconds that a write keeps a session which has reached its greatest age
--       rest              the events: field, value, field, value … (`token` and its text, or the
--                         SSE event's name and its JSON)
--
-- Replies  {'written', now}, or {'lost', now, fence, intent} if the lease is no longer this token's
local holder, fence, intent = unpack(redis.call('HMGET', state, 'token', 'fence', 'intent'))
-- uses  clock
if holder ~= token then
  return {'lost', now, tonumber(fence or '0'), intent or ''}
end
local first_event = rest
-- uses  log_batch
if logged then
  -- A hint: a user without the right to publish must not fail a script that has written.
  redis.pcall(publish, wake, step)
end
redis.call('HSET', state, 'lease_until', now + lease)
if asking ~= '' then
  redis.call('HSET', state, 'run', step .. ' ' .. asking .. ' 1')
end
-- uses  expiry
return {'written', now}
