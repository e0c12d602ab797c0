#!lua
-- commit_step: ends a step, once: what the model said enters the history and the lease is given back.
--
-- Safe to repeat: the token is remembered with the step, so that a second call learns that the first one did its work, even
-- if other steps have run since.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps  7 reasoning
-- ARGV  1 token  2 step  3 ttl in ms, 0 for none  4 publish command  5 wake channel
--       6 prompt tokens  7 completion tokens  8 journal line (JSON)  9 journal bound (lines)
--      10 the last sequence number of the events below (ignored when there are none)
--      11 number of messages  12 number of calls
--      13 the last message's role, '' without messages
--      14 1 where the model's server has refused the request before the model said anything, else 0: if the history ends with
--         a user's message, that one goes when the next one comes
--      15 number of entries of the reasoning
--      16 why the model stopped, '' where that is not known
--      then
--         the messages: JSON ...
--         the calls: id, tool name, JSON ...
--         the reasoning: which of the messages it belongs to (0 is the first), JSON without its
--           beginning `{"at":INDEX,` ...; a session of layout 1 keeps none
--         the events: field, value ...
--
-- Answers  {'committed', now, length}; {'already', now, length} when this token has committed before;
--          {'lost', now, fence, intent} when the lease is not this token's any more.
local history, state, pending, ledger, events, steps, reasoning = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local s = redis.call('HMGET', state, 'token', 'fence', 'intent', 'v', 'last_role')
local length = redis.call('LLEN', history)
if s[1] ~= ARGV[1] then
  local outcome = redis.call('HGET', ledger, 't:' .. ARGV[1])
  if outcome and string.find(outcome, ' committed', 1, true) then
    return {'already', now, length}
  end
  return {'lost', now, tonumber(s[2] or '0'), s[3] or ''}
end
-- Types are checked before the first write: only a hand could have changed them, and then nothing is half written.
redis.call('LLEN', steps)
redis.call('HLEN', pending)
redis.call('HLEN', ledger)
redis.call('LLEN', reasoning)
local step, at = ARGV[2], 17
local message_count, call_count, reasoning_count = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[15])
local first_event = at + message_count + 3 * call_count + 2 * reasoning_count

-- The log comes first: it is the one write that can fail on something other than memory (an id that is there already,
-- from a batch whose answer was lost, is no failure). Many events become several entries, as in append_events.
for first = first_event, #ARGV, 2000 do
  local last = math.min(first + 1999, #ARGV)
  local sequence = tonumber(ARGV[10]) - (#ARGV - last) / 2
  local added = redis.pcall('XADD', events, step .. '-' .. sequence, unpack(ARGV, first, last))
  if type(added) == 'table' and not string.find(added.err, 'equal or smaller', 1, true) then
    return added
  end
end
local bytes, first_message = 0, length
for i = at, at + message_count - 1 do
  length = redis.call('RPUSH', history, ARGV[i])
  bytes = bytes + #ARGV[i]
end
at = at + message_count
redis.call('HSET', ledger, 't:' .. ARGV[1], step .. ' committed')
for index = 0, call_count - 1 do
  local id, name, call = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  redis.call('HSET', pending, id, call)
  redis.call('HSET', ledger, 'c:' .. id, step .. ' ' .. index .. ' pending ' .. name)
  at = at + 3
end
if tonumber(s[4] or '1') >= 2 then
  for i = at, at + 2 * (reasoning_count - 1), 2 do
    local entry = '{"at":' .. first_message + tonumber(ARGV[i]) .. ',' .. ARGV[i + 1]
    redis.call('RPUSH', reasoning, entry)
    bytes = bytes + #entry
  end
end
redis.call('RPUSH', steps, ARGV[8])
redis.call('LTRIM', steps, -tonumber(ARGV[9]), -1)
local role, rejected = ARGV[13], ''
if role == '' then
  role = s[5] or ''
  if ARGV[14] == '1' and role == 'user' then
    -- Of this step: builds that know layout 1 alone leave the field as it is when they run another.
    rejected = step .. ' ' .. (length - 1)
  end
end
redis.call('HSET', state, 'status', call_count > 0 and 'waiting' or 'idle', 'token', '', 'lease_until', 0, 'intent', '',
  'updated_at', now, 'last_role', role, 'rejected', rejected, 'finish_reason', ARGV[16])
if bytes > 0 then
  redis.pcall('HINCRBY', state, 'history_bytes', bytes)
end
if ARGV[6] ~= '0' then
  redis.pcall('HINCRBY', state, 'prompt_tokens', ARGV[6])
end
if ARGV[7] ~= '0' then
  redis.pcall('HINCRBY', state, 'completion_tokens', ARGV[7])
end
-- A hint: a user without the right to publish must not fail a script that has written.
redis.pcall(ARGV[4], ARGV[5], step)
if ARGV[3] ~= '0' then
  local expiry = now + tonumber(ARGV[3])
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIREAT', name, expiry)
  end
elseif redis.call('PTTL', state) >= 0 then
  -- The step began under another setting, and some of the keys are new: all expire together, or none.
  for _, name in ipairs(KEYS) do
    redis.call('PERSIST', name)
  end
end
return {'committed', now, length}
