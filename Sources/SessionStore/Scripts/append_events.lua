#!lua
-- append_events: adds a batch to the log of the running step and extends its lease. An empty batch is the renewal.
--
-- Safe to repeat: a batch whose last id the log already has counts as written.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps  7 reasoning
-- ARGV  1 token  2 step  3 the last sequence number of the batch (0 for a renewal)  4 lease in ms  5 ttl in ms, 0 for none
--       6 publish command  7 wake channel
--       8 the owner's process where it is about to ask the model, else '' (begin_step and take_over note it themselves where the
--         history comes with their answer)
--       9.. the events: field, value, field, value ... (`token` and its text, or the SSE
--       event's name and its JSON)
--
-- Answers  {'written', now}, or {'lost', now, fence, intent} when the token is not the lease's any more.
local s = redis.call('HMGET', KEYS[2], 'token', 'fence', 'intent')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if s[1] ~= ARGV[1] then
  return {'lost', now, tonumber(s[2] or '0'), s[3] or ''}
end
-- A large batch becomes several entries, each with the id of its last event: Lua unpacks no more than 8000 values at once.
local wrote = false
for first = 9, #ARGV, 2000 do
  local last = math.min(first + 1999, #ARGV)
  local sequence = tonumber(ARGV[3]) - (#ARGV - last) / 2
  -- The token is ours and so is the fence: an id that is not above the log's was written by this very batch.
  local added = redis.pcall('XADD', KEYS[5], ARGV[2] .. '-' .. sequence, unpack(ARGV, first, last))
  if type(added) ~= 'table' then
    wrote = true
  elseif not string.find(added.err, 'equal or smaller', 1, true) then
    return added
  end
end
if wrote then
  -- A hint: a user without the right to publish must not fail a script that has written.
  redis.pcall(ARGV[6], ARGV[7], ARGV[2])
end
redis.call('HSET', KEYS[2], 'lease_until', now + tonumber(ARGV[4]))
if ARGV[8] ~= '' then
  redis.call('HSET', KEYS[2], 'run', ARGV[2] .. ' ' .. ARGV[8] .. ' 1')
end
if ARGV[5] ~= '0' then
  local at = now + tonumber(ARGV[5])
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIREAT', name, at)
  end
end
return {'written', now}
