#!lua
local history, state, pending, ledger, events, steps, reasoning = unpack(KEYS)
local token, step, last_sequence, lease, ttl, publish, wake, asking = unpack(ARGV, 1, 8)
last_sequence, lease, ttl = tonumber(last_sequence), tonumber(lease), tonumber(ttl)
local rest = 9
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
--       rest              the events: field, value, field, value … (`token` and its text, or the
--                         SSE event's name and its JSON)
--
-- Replies  {'written', now}, or {'lost', now, fence, intent} if the lease is no longer this token's
local holder, fence, intent = unpack(redis.call('HMGET', state, 'token', 'fence', 'intent'))
-- Sets now: Redis's time in whole milliseconds. It stands still while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if holder ~= token then
  return {'lost', now, tonumber(fence or '0'), intent or ''}
end
local first_event = rest
-- Adds the events ARGV[first_event] … (field, value, field, value …) to the log of the running
-- step.
--
-- Needs  first_event, the arguments step and last_sequence (of the last of them)
-- Sets   logged: whether an entry was added
--
-- Lua unpacks fewer than 8,000 values at once: a large batch becomes several entries, each with the
-- id of its last event. The caller holds the lease, so an id that is not above the log's was
-- written by an earlier call with this very batch, whose reply was lost; that counts as written.
local logged = false
for from = first_event, #ARGV, 2000 do
  local to = math.min(from + 1999, #ARGV)
  local sequence = last_sequence - (#ARGV - to) / 2
  local added = redis.pcall('XADD', events, step .. '-' .. sequence, unpack(ARGV, from, to))
  if type(added) ~= 'table' then
    logged = true
  elseif not string.find(added.err, 'equal or smaller', 1, true) then
    return added
  end
end

if logged then
  -- A hint: a user without the right to publish must not fail a script that has written.
  redis.pcall(publish, wake, step)
end
redis.call('HSET', state, 'lease_until', now + lease)
if asking ~= '' then
  redis.call('HSET', state, 'run', step .. ' ' .. asking .. ' 1')
end
-- Gives all keys of the session one expiry time (I8).
--
-- Needs  now, the argument ttl (milliseconds; 0 for none)
if ttl ~= 0 then
  local expire_at = now + ttl
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIREAT', name, expire_at)
  end
end

return {'written', now}
