#!lua
local history, state, pending, ledger, events, steps, reasoning = unpack(KEYS)
local token, step, ttl, publish, wake, prompt_tokens, completion_tokens, journal_line, journal_bound, last_sequence, message_count, call_count, new_role, is_rejected, reasoning_count, finish_reason = unpack(ARGV, 1, 16)
ttl, prompt_tokens, completion_tokens, journal_bound, last_sequence, message_count, call_count, is_rejected, reasoning_count = tonumber(ttl), tonumber(prompt_tokens), tonumber(completion_tokens), tonumber(journal_bound), tonumber(last_sequence), tonumber(message_count), tonumber(call_count), is_rejected == '1', tonumber(reasoning_count)
local rest = 17
-- commit_step: ends a step, once: the model's completion enters the history, and the lease is
-- released.
--
-- Safe to repeat: the ledger keeps the token with the step, so that a second call learns that the
-- first one did its work, even if other steps have run since.
--
-- KEYS  history, state, pending, ledger, events, steps, reasoning
-- ARGV  token
--       step
--       ttl               milliseconds, 0 for none
--       publish           PUBLISH, or SPUBLISH on a Cluster
--       wake              the channel that wakes followers
--       prompt_tokens
--       completion_tokens
--       journal_line      JSON
--       journal_bound     lines
--       last_sequence     the number of the last of the events below; of no meaning without events
--       message_count
--       call_count
--       new_role          the last message's role; '' without messages
--       is_rejected       whether the model's server rejected the request before the model said
--                         anything: if the history ends with a user's message, the next message
--                         replaces that one
--       reasoning_count   entries of the reasoning
--       finish_reason     why the model stopped; '' if that is not known
--       rest              the messages: JSON …
--                         the calls: id, tool name, JSON …
--                         the reasoning: the index of its message among these (from 0), and JSON
--                         without its start `{"at":INDEX,` …; a session of layout 1 keeps none
--                         the events: field, value …
--
-- Replies  {'committed', now, length}; {'already', now, length} if this token has committed before;
--          {'lost', now, fence, intent} if the lease is no longer this token's

-- Sets now: Redis's time in whole milliseconds. It stands still while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local holder, fence, intent, version, last_role = unpack(redis.call('HMGET', state, 'token', 'fence', 'intent', 'v', 'last_role'))
local length = redis.call('LLEN', history)
if holder ~= token then
  local outcome = redis.call('HGET', ledger, 't:' .. token)
  if outcome and string.find(outcome, ' committed', 1, true) then
    return {'already', now, length}
  end
  return {'lost', now, tonumber(fence or '0'), intent or ''}
end
-- Types are checked before the first write: only a person's edit can have changed them.
redis.call('LLEN', steps)
redis.call('HLEN', pending)
redis.call('HLEN', ledger)
redis.call('LLEN', reasoning)

local first_call = rest + message_count
local first_reasoning = first_call + 3 * call_count
local first_event = first_reasoning + 2 * reasoning_count
-- The log comes first: it is the one write that can fail for another reason than a lack of memory.
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

local bytes, first_index = 0, length
for i = rest, first_call - 1 do
  length = redis.call('RPUSH', history, ARGV[i])
  bytes = bytes + #ARGV[i]
end
redis.call('HSET', ledger, 't:' .. token, step .. ' committed')
for index = 0, call_count - 1 do
  local id, name, call = unpack(ARGV, first_call + 3 * index, first_call + 3 * index + 2)
  redis.call('HSET', pending, id, call)
  redis.call('HSET', ledger, 'c:' .. id, step .. ' ' .. index .. ' pending ' .. name)
end
if tonumber(version or '1') >= 2 then
  for i = first_reasoning, first_event - 1, 2 do
    local entry = '{"at":' .. first_index + tonumber(ARGV[i]) .. ',' .. ARGV[i + 1]
    redis.call('RPUSH', reasoning, entry)
    bytes = bytes + #entry
  end
end
redis.call('RPUSH', steps, journal_line)
redis.call('LTRIM', steps, -journal_bound, -1)
local role, rejected = new_role, ''
if role == '' then
  role = last_role or ''
  if is_rejected and role == 'user' then
    -- With the step: builds that know layout 1 alone leave the field as it is when they run
    -- another.
    rejected = step .. ' ' .. (length - 1)
  end
end
redis.call('HSET', state, 'status', call_count > 0 and 'waiting' or 'idle', 'token', '', 'lease_until', 0, 'intent', '',
  'updated_at', now, 'last_role', role, 'rejected', rejected, 'finish_reason', finish_reason)
if bytes > 0 then
  redis.pcall('HINCRBY', state, 'history_bytes', bytes)
end
if prompt_tokens ~= 0 then
  redis.pcall('HINCRBY', state, 'prompt_tokens', prompt_tokens)
end
if completion_tokens ~= 0 then
  redis.pcall('HINCRBY', state, 'completion_tokens', completion_tokens)
end
-- A hint: a user without the right to publish must not fail a script that has written.
redis.pcall(publish, wake, step)
-- The step may have begun under another setting, and some of the keys are new.
-- Gives all keys of the session one expiry time (I8), or none. It is for scripts that create keys:
-- if the session has an expiry of an earlier setting, the new keys would stay behind without it.
--
-- Needs  now, the argument ttl (milliseconds; 0 for none)
-- Gives all keys of the session one expiry time (I8).
--
-- Needs  now, the argument ttl (milliseconds; 0 for none)
if ttl ~= 0 then
  local expire_at = now + ttl
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIREAT', name, expire_at)
  end
end

if ttl == 0 and redis.call('PTTL', state) >= 0 then
  for _, name in ipairs(KEYS) do
    redis.call('PERSIST', name)
  end
end

return {'committed', now, length}
