#!lua
-- begin_step: accepts one message and, when a generation is due, takes the session's lease for it.
--
-- Safe to repeat: the same token, the same idempotency key or the same tool result never writes
-- twice. The same token gets a whole lease again. The script checks everything before its first
-- write, since Redis rolls nothing back. (Without script flags Redis refuses the whole script when
-- it is out of memory.)
--
-- KEYS  history, state, pending, ledger, events, steps, reasoning
-- ARGV  token             random, names this attempt to begin
--       nonce             four characters for the event ids of this lease
--       owner             the replica's name
--       lease             milliseconds
--       hint_due          Redis's time in ms at which sweepers read the session; the script refuses
--                         once it has passed
--       ttl               milliseconds, 0 for none
--       kind              user | tool_result | retry | replace (a retry in which another user
--                         message takes the place of the last one)
--       message           the chat message; '' for retry
--       system_prompt     a chat message, the first of a new session; '' for none
--       key               the idempotency key; '' for none
--       request_digest    of the whole request, beside the key
--       call_id           tool_result only
--       tool_name         tool_result only; '' if the client did not send it
--       result_digest     tool_result only
--       expected_length   of the history before this message; nil for any
--       new_model         for the turn; '' keeps what the turn has (tool_result, retry)
--       new_tools         JSON array for the turn; '' as above
--       new_metadata      JSON object, stored with the step; '' as above
--       new_on_disconnect continue | cancel; '' as above
--       ledger_bound      entries that the ledger keeps beside those that the session may still
--                         need
--       publish           PUBLISH, or SPUBLISH on a Cluster
--       wake              the channel that wakes followers
--       max_messages      a history that has as many accepts no other message; 0 for no bound
--       max_bytes         that a history may have with this message; 0 for no bound
--       layout            the layout that this replica may write: 1, 2 or 3
--       known_layout      the highest layout that this replica can read
--       instance          the owner's process
--       ahead_bytes       the largest history that comes with the reply, in bytes
--       ahead_messages    the same in messages
--       user_start        how a user's message begins
--       tool_start        how a tool's message begins
--       cancelled_start   the message for a call that this message closes, up to the call's id
--       cancelled_end     the rest of that message
--       subject           the user in whose name the message comes; '' for a key that acts for the
--                         whole tenant
--       opens_unowned     whether that user reaches sessions without an owner
--       max_age           of the session, in milliseconds from its creation; 0 for none
--       grace             milliseconds that a write keeps a session which has reached its greatest age
--       slot              the accounts that the step counts for, and its slots there; '' for none
--       may_begin         whether limits let a step begin
--
-- Replies, each with Redis's time in milliseconds second:
--   started   now step length model tools metadata on_disconnect epoch bytes messages kept reasoning
--             owner_subject
--                             the replica holds the lease. `messages` is the history if it is small,
--                             else an empty array: the replica then reads it in pages; the lease
--                             keeps it as it is. `kept` counts the entries of the reasoning;
--                             `reasoning` has all of them, or none, by the same rule;
--                             `owner_subject` is the user who has the session, or ''
--   waiting   now step length ids... [owner_subject]
--                                         stored. These calls still want a result; none if a user's
--                                         message has closed the step's calls since. The owner, if
--                                         there is one, comes last, as an array
--   replay    now step length             seen before: follow this step
--   busy      now step lease_left         a step runs
--   orphaned  now step                    a step's lease has run out
--   expired   now epoch owner_subject     the session has reached its greatest age: delete this epoch, and
--                                         call again
--   limited   now                         a step would begin, and may not
--   late      now                         the hint is due: call again with a later one
--   forbidden now                         the session is another user's
--   newer     now layout                  a build that knows a later layout wrote the session
--   orphan    now step reply              one of the refusals below. The session has a running step
--                                         that has lost its lease: a replica should take it over
--   idempotency_mismatch now | unknown_call now | result_conflict now | call_closed now
--   nothing_to_retry now | tool_name_mismatch now name | calls_pending now ids...
--   history_mismatch now length | history_full now length bytes

-- uses  clock
local status, fence, holder, lease_until, epoch, model, tools, metadata, on_disconnect, known_bytes,
  version, last_role, turn, rejected, ledger_due, owner_subject = unpack(redis.call('HMGET', state,
  'status', 'fence', 'token', 'lease_until', 'epoch', 'model', 'tools', 'metadata', 'on_disconnect', 'history_bytes',
  'v', 'last_role', 'turn', 'rejected', 'ledger_due', 'subject'))
-- uses  owner
local length = redis.call('LLEN', history)
if is_foreign and (fence or length > 0) then
  if status == 'running' and tonumber(lease_until or '0') <= now then
    -- The request has moved the hint. It must not hide another user's lost step.
    return {'orphan', now, tonumber(fence or '0'), {'forbidden', now}}
  end
  return {'forbidden', now}
end
version = tonumber(version or '1')
if version > known_layout then
  return {'newer', now, version}
end
local is_new = not fence
status, fence, lease_until, turn = status or 'idle', tonumber(fence or '0'), tonumber(lease_until or '0'), tonumber(turn or '0')
epoch, model, tools, metadata, on_disconnect = epoch or '', model or '', tools or '', metadata or '', on_disconnect or ''
local is_unused = is_new and length == 0
-- Before the first write: a person may have put a value of another type there.
redis.call('LLEN', reasoning)
local bytes = length > 0 and tonumber(known_bytes or '0') or 0
local has_size = known_bytes or length == 0
if length == 0 then
  -- The history is gone, by hand or by an expiry of its own: the rest belongs to no conversation.
  redis.call('DEL', pending, reasoning)
  version = 1
end
if version < 2 or last_role == '' then
  -- Builds that know layout 1 alone do not keep it.
  last_role = false
end
local token_seen, key_seen, call_seen = unpack(redis.call('HMGET', ledger, 't:' .. token, 'k:' .. key, 'c:' .. call_id))

-- uses  small_list, calls

-- Returns the reply to a call that holds the lease: all that the replica needs to run the step.
local function started()
  local kept = version >= 2 and redis.call('LLEN', reasoning) or 0
  local small = is_small(has_size and bytes, length)
  return {'started', now, fence, length, model, tools, metadata, on_disconnect, epoch, bytes,
    small and small_list(history, length) or {}, kept, small and small_list(reasoning, kept) or {}, owner_subject}
end

-- Returns the reply to a result that is stored.
local function waiting(step, count, ids)
  local reply = {'waiting', now, step, count, unpack(ids)}
  if owner_subject ~= '' then
    reply[#reply + 1] = {owner_subject}
  end
  return reply
end

-- Returns a refusal. It does not hide a step that has lost its replica.
local function refuse(...)
  if status == 'running' and lease_until <= now then
    return {'orphan', now, fence, {...}}
  end
  return {...}
end

-- 1. Was the message seen before?
if holder == token then
  -- The call came again: the caller counts its lease from now.
  redis.call('HSET', state, 'lease_until', now + lease)
  return started()
end
if token_seen then
  return {'replay', now, tonumber(string.match(token_seen, '^%d+')), length}
end
if key ~= '' and key_seen then
  local step, digest = string.match(key_seen, '^(%d+) (%S*)')
  if digest ~= request_digest then
    return refuse('idempotency_mismatch', now)
  end
  if kind ~= 'tool_result' then
    return {'replay', now, tonumber(step), length}
  end
end
local call_step, call_index, answered
if kind == 'tool_result' then
  if not call_seen then
    return refuse('unknown_call', now)
  end
  local step, index, what, rest = string.match(call_seen, '^(%d+) (%d+) (%a+) ?(.*)$')
  call_step, call_index = tonumber(step), index
  if what == 'answered' then
    if rest ~= result_digest then
      return refuse('result_conflict', now)
    end
    if status == 'waiting' and fence == call_step then
      return waiting(call_step, length, open_calls())
    end
    if has_cancelled_call(call_step) then
      return waiting(call_step, length, {})
    end
    return {'replay', now, call_step + 1, length}
  end
  -- 2. Does it contradict the session?
  if what ~= 'pending' or redis.call('HEXISTS', pending, call_id) == 0 then
    return refuse('call_closed', now)
  end
  if tool_name ~= '' and tool_name ~= rest then
    return refuse('tool_name_mismatch', now, rest)
  end
  answered = call_step .. ' ' .. call_index .. ' answered ' .. result_digest
end
if status == 'running' then
  if lease_until > now then
    return {'busy', now, fence, lease_until - now}
  end
  return {'orphaned', now, fence}
end
if max_age > 0 and (tonumber(redis.call('HGET', state, 'created_at') or '') or now) + max_age <= now then
  return {'expired', now, epoch, owner_subject}
end
if expected_length and expected_length ~= length then
  return {'history_mismatch', now, length}
end
local open = open_count()
local is_retry = kind == 'retry' or kind == 'replace'
local last = (is_retry or (rejected or '') ~= '') and redis.call('LINDEX', history, -1)
local role = last and last_role
if last and not role then
  role = string.sub(last, 1, #user_start) == user_start and 'user' or string.sub(last, 1, #tool_start) == tool_start and 'tool'
end
if is_retry then
  if open > 0 then
    return {'calls_pending', now, unpack(open_calls())}
  end
  if role ~= 'user' and (role ~= 'tool' or kind == 'replace') then
    return {'nothing_to_retry', now}
  end
end
-- The message that this one replaces. A message that the model's server rejected goes when the next
-- comes.
local removed = ''
if role == 'user' and (kind == 'replace' or kind == 'user' and rejected == fence .. ' ' .. (length - 1)) then
  removed = last
end
-- Results of open calls are always stored: otherwise the session could only be deleted.
local stays = length - (removed ~= '' and 1 or 0)
if kind ~= 'tool_result' and ((max_messages > 0 and stays >= max_messages)
  or (max_bytes > 0 and math.max(0, bytes - #removed) + #message > max_bytes)) then
  return {'history_full', now, length, bytes}
end
if hint_due <= now then
  return {'late', now}
end

-- uses  ledger

-- Returns the ledger entry of the idempotency key. Layout 2 marks the keys of results.
local function key_entry(step)
  return step .. ' ' .. request_digest .. (kind == 'tool_result' and version >= 2 and ' result' or '')
end

-- 3. A result that leaves other calls open is stored; no step begins.
if kind == 'tool_result' and open > 1 then
  -- uses  layout
  redis.call('RPUSH', history, message)
  redis.call('HDEL', pending, call_id)
  redis.call('HSET', state, 'updated_at', now, 'history_bytes', bytes + #message, 'last_role', 'tool')
  local entries = {'c:' .. call_id, answered}
  if key ~= '' then
    entries[3], entries[4] = 'k:' .. key, key_entry(call_step)
  end
  remember(entries, fence, turn, tonumber(ledger_due or '0'))
  -- uses  expiry_or_none
  return waiting(call_step, length + 1, open_calls())
end

if not may_begin then
  return {'limited', now}
end

-- 4. A step opens in the log: the first write, and the one that can fail.
-- uses  log_opening
local opened, failure = open_log(fence + 1)
if failure then
  return failure
end
fence = opened

-- 5. The rest is written.
-- uses  layout
local entries = {'t:' .. token, fence .. ' begun'}
if key ~= '' then
  entries[3], entries[4] = 'k:' .. key, key_entry(fence)
end
-- The key must not go even for a moment: the only message leaves after the new one has come.
local is_only = removed ~= '' and length == 1
if removed ~= '' then
  if not is_only then redis.call('LTRIM', history, 0, -2) end
  length, bytes = length - 1, math.max(0, bytes - #removed)
end
local messages = {}
if length == 0 and removed == '' then
  epoch = string.sub(token, 1, 12)
  if system_prompt ~= '' then
    messages[1] = system_prompt
  end
end
if kind == 'tool_result' then
  entries[#entries + 1] = 'c:' .. call_id
  entries[#entries + 1] = answered
elseif open > 0 then
  -- uses  closed_calls
end
if message ~= '' then
  messages[#messages + 1] = message
end
if #messages > 0 then
  length = redis.call('RPUSH', history, unpack(messages))
  if is_only then
    redis.call('LTRIM', history, 1, -1)
    length = length - 1
  end
  for _, added in ipairs(messages) do
    bytes = bytes + #added
  end
end
for _, id in ipairs(open > 0 and redis.call('HKEYS', pending) or {}) do
  if id ~= '' then redis.call('HDEL', pending, id) end
end
if kind == 'tool_result' then
  last_role = 'tool'
elseif kind == 'retry' then
  last_role = role
else
  last_role, turn = 'user', fence
end
-- A user's message brings all settings of its turn; other messages change those that they name.
if kind == 'user' or new_model ~= '' then model = new_model end
if kind == 'user' or new_tools ~= '' then tools = new_tools end
if kind == 'user' or new_metadata ~= '' then metadata = new_metadata end
if kind == 'user' or new_on_disconnect ~= '' then on_disconnect = new_on_disconnect end
redis.call('HSET', state, 'status', 'running', 'fence', fence, 'token', token, 'nonce', nonce, 'owner', owner,
  'lease_until', now + lease, 'attempt', 1, 'intent', '', 'epoch', epoch, 'model', model, 'tools', tools,
  'metadata', metadata, 'on_disconnect', on_disconnect, 'history_bytes', bytes, 'updated_at', now, 'last_role', last_role,
  'turn', turn, 'rejected', '', 'slot', slot ~= '' and fence .. ' ' .. slot or '',
  'run', fence .. ' ' .. instance .. (is_small(has_size and bytes, length) and ' 1' or ' 0'))
if is_new then
  redis.call('HSETNX', state, 'created_at', now)
end
if max_age > 0 then
  -- With the step: a later message may bring none.
  redis.call('HSET', state, 'max_age', fence .. ' ' .. max_age)
end
if is_unused and subject ~= '' then
  owner_subject = subject
  redis.call('HSET', state, 'subject', subject)
end
remember(entries, fence, turn, tonumber(ledger_due or '0'))
-- A hint: a user without the right to publish must not fail a script that has written.
redis.pcall(publish, wake, fence)
-- uses  expiry_or_none
return started()
