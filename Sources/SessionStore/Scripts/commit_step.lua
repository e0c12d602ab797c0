#!lua
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
--       max_age           of the session, in milliseconds from its creation; 0 for none
--       grace             milliseconds that a write keeps a session which has reached its greatest age
--       rest              the messages: JSON …
--                         the calls: id, tool name, JSON …
--                         the reasoning: the index of its message among these (from 0), and JSON
--                         without its start `{"at":INDEX,` …; a session of layout 1 keeps none
--                         the events: field, value …
--
-- Replies  {'committed', now, length}; {'already', now, length} if this token has committed before;
--          {'lost', now, fence, intent} if the lease is no longer this token's

-- uses  clock
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
-- uses  log_batch
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
-- uses  expiry_or_none
return {'committed', now, length}
