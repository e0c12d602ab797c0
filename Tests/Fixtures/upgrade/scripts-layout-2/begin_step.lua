#!lua
local history, state, pending, ledger, events, steps, reasoning = unpack(KEYS)
local token, nonce, owner, lease, hint_due, ttl, kind, message, system_prompt, key, request_digest, call_id, tool_name, result_digest, expected_length, new_model, new_tools, new_metadata, new_on_disconnect, ledger_bound, publish, wake, max_messages, max_bytes, layout, known_layout, instance, ahead_bytes, ahead_messages, user_start, tool_start, cancelled_start, cancelled_end = unpack(ARGV, 1, 33)
lease, hint_due, ttl, expected_length, ledger_bound, max_messages, max_bytes, layout, known_layout, ahead_bytes, ahead_messages = tonumber(lease), tonumber(hint_due), tonumber(ttl), tonumber(expected_length), tonumber(ledger_bound), tonumber(max_messages), tonumber(max_bytes), tonumber(layout), tonumber(known_layout), tonumber(ahead_bytes), tonumber(ahead_messages)
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
--       layout            the layout that this replica may write: 1 or 2
--       known_layout      the highest layout that this replica can read
--       instance          the owner's process
--       ahead_bytes       the largest history that comes with the reply, in bytes
--       ahead_messages    the same in messages
--       user_start        how a user's message begins
--       tool_start        how a tool's message begins
--       cancelled_start   the message for a call that this message closes, up to the call's id
--       cancelled_end     the rest of that message
--
-- Replies, each with Redis's time in milliseconds second:
--   started   now step length model tools metadata on_disconnect epoch bytes messages kept reasoning
--                             the replica holds the lease. `messages` is the history if it is small,
--                             else an empty array: the replica then reads it in pages; the lease
--                             keeps it as it is. `kept` counts the entries of the reasoning;
--                             `reasoning` has all of them, or none, by the same rule
--   waiting   now step length ids...      stored. These calls still want a result; none if a user's
--                                         message has closed the step's calls since
--   replay    now step length             seen before: follow this step
--   busy      now step lease_left         a step runs
--   orphaned  now step                    a step's lease has run out
--   late      now                         the hint is due: call again with a later one
--   newer     now layout                  a build that knows a later layout wrote the session
--   orphan    now step reply              one of the refusals below. The session has a running step
--                                         that has lost its lease: a replica should take it over
--   idempotency_mismatch now | unknown_call now | result_conflict now | call_closed now
--   nothing_to_retry now | tool_name_mismatch now name | calls_pending now ids...
--   history_mismatch now length | history_full now length bytes

-- Sets now: Redis's time in whole milliseconds. It stands still while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local status, fence, holder, lease_until, epoch, model, tools, metadata, on_disconnect, known_bytes,
  version, last_role, turn, rejected, ledger_due = unpack(redis.call('HMGET', state,
  'status', 'fence', 'token', 'lease_until', 'epoch', 'model', 'tools', 'metadata', 'on_disconnect', 'history_bytes',
  'v', 'last_role', 'turn', 'rejected', 'ledger_due'))
version = tonumber(version or '1')
if version > known_layout then
  return {'newer', now, version}
end
local is_new = not fence
status, fence, lease_until, turn = status or 'idle', tonumber(fence or '0'), tonumber(lease_until or '0'), tonumber(turn or '0')
epoch, model, tools, metadata, on_disconnect = epoch or '', model or '', tools or '', metadata or '', on_disconnect or ''
local length = redis.call('LLEN', history)
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

-- The history where it is small enough to come with the lease: the replica then asks the model at
-- once. The replica reads a longer one in pages, since Lua would take ten times as long for it.
--
-- Needs  the arguments ahead_bytes and ahead_messages

-- is_small(bytes, length) returns whether a history of this size comes with the lease. `bytes` is
-- nil or false where the state does not know the size.
local function is_small(bytes, length)
  return bytes and bytes <= ahead_bytes and length <= ahead_messages
end

-- small_list(name, count) returns a whole list; an empty one where it has more than `ahead_bytes`,
-- since a person has added to it and the state's size is not true.
local function small_list(name, count)
  local elements, size, page_size = {}, 0, 4
  while #elements < count do
    local page = redis.call('LRANGE', name, #elements, #elements + page_size - 1)
    for _, element in ipairs(page) do
      size = size + #element
      elements[#elements + 1] = element
    end
    if #page == 0 or size > ahead_bytes then
      return {}
    end
    page_size = page_size * 4
  end
  return elements
end

-- The calls of a step that want a result.
--
-- Needs  the keys pending and ledger

-- open_count() returns how many calls are open. Layout 2 keeps a field in `pending` that is not a
-- call, so that the key always exists.
local function open_count()
  return redis.call('HLEN', pending) - redis.call('HEXISTS', pending, '')
end

-- open_calls() returns the ids of the open calls, in the model's order.
local function open_calls()
  local ids = {}
  for _, id in ipairs(redis.call('HKEYS', pending)) do
    if id ~= '' then ids[#ids + 1] = id end
  end
  if #ids < 2 then
    return ids
  end
  local fields, index = {}, {}
  for i, id in ipairs(ids) do
    fields[i] = 'c:' .. id
  end
  for i, entry in ipairs(redis.call('HMGET', ledger, unpack(fields))) do
    index[ids[i]] = tonumber(entry and string.match(entry, '^%d+ (%d+)') or '0')
  end
  table.sort(ids, function(a, b)
    if index[a] ~= index[b] then return index[a] < index[b] end
    return a < b
  end)
  return ids
end

-- has_cancelled_call(step) returns whether a user's message closed some of the step's calls. The
-- step after it answers that message, and not the results that came before.
local function has_cancelled_call(step)
  local all = redis.call('HGETALL', ledger)
  for i = 2, #all, 2 do
    if string.find(all[i], '^' .. step .. ' %d+ cancelled') then
      return true
    end
  end
  return false
end


-- Returns the reply to a call that holds the lease: all that the replica needs to run the step.
local function started()
  local kept = version >= 2 and redis.call('LLEN', reasoning) or 0
  local small = is_small(has_size and bytes, length)
  return {'started', now, fence, length, model, tools, metadata, on_disconnect, epoch, bytes,
    small and small_list(history, length) or {}, kept, small and small_list(reasoning, kept) or {}}
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
      return {'waiting', now, call_step, length, unpack(open_calls())}
    end
    if has_cancelled_call(call_step) then
      return {'waiting', now, call_step, length}
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

-- The ledger's bound.
--
-- Needs  the argument ledger_bound, the keys ledger and state

-- forget(fence, turn) removes what the session no longer needs, oldest steps first. These entries
-- stay in any case: the tokens of the last steps, open calls and the calls of the last two steps
-- that made some, the keys of their results, the key of the turn's own message, and the keys of as
-- many messages as half the bound.
local function forget(fence, turn)
  local all = redis.call('HGETALL', ledger)
  local entries, keys, latest, before = {}, {}, 0, 0
  for i = 1, #all, 2 do
    local what, step = string.sub(all[i], 1, 1), tonumber(string.match(all[i + 1], '^%d+') or '0')
    if what == 'c' and step > latest then
      latest, before = step, latest
    elseif what == 'c' and step < latest and step > before then
      before = step
    end
    local entry = {field = all[i], step = step, value = all[i + 1], what = what}
    if what == 'k' and not string.find(entry.value, ' result', 1, true) then
      keys[#keys + 1] = entry
    else
      entries[#entries + 1] = entry
    end
  end
  local function older(a, b)
    if a.step ~= b.step then return a.step < b.step end
    return a.field < b.field
  end
  table.sort(keys, older)
  local candidates = {}
  for i = 1, #keys - math.floor(ledger_bound / 2) do
    if keys[i].step ~= turn and keys[i].step ~= fence then candidates[#candidates + 1] = keys[i] end
  end
  for _, entry in ipairs(entries) do
    local stays = entry.step >= before
    if entry.what == 't' then
      stays = entry.step > fence - math.max(2, math.floor(ledger_bound / 8))
    elseif entry.what == 'c' and string.find(entry.value, '^%d+ %d+ pending') then
      stays = true
    end
    if not stays then candidates[#candidates + 1] = entry end
  end
  table.sort(candidates, older)
  local excess = #all / 2 - math.floor(ledger_bound * 3 / 4)
  for i = 1, math.min(excess, #candidates) do
    redis.call('HDEL', ledger, candidates[i].field)
  end
  -- A ledger that stays large is not searched again at every message.
  local size = redis.call('HLEN', ledger)
  redis.call('HSET', state, 'ledger_due', size >= ledger_bound and size + math.ceil(ledger_bound / 4) or 0)
end

-- remember(fields, fence, turn, due) writes entries: field, value, field, value … It searches the
-- ledger for entries to forget at the bound, or at the size `due` if that is more.
local function remember(fields, fence, turn, due)
  for i = 1, #fields, 2 do
    redis.call('HSET', ledger, fields[i], fields[i + 1])
  end
  if redis.call('HLEN', ledger) > math.max(ledger_bound, due) then
    forget(fence, turn)
  end
end


-- Returns the ledger entry of the idempotency key. Layout 2 marks the keys of results.
local function key_entry(step)
  return step .. ' ' .. request_digest .. (kind == 'tool_result' and version >= 2 and ' result' or '')
end

-- 3. A result that leaves other calls open is stored; no step begins.
if kind == 'tool_result' and open > 1 then
-- Moves the session to layout 2, if this replica may write it: every key exists as long as the
-- session does. A Cluster that moves the slot can then serve the session until the first of its
-- keys has left, and again once the last has arrived. Readers skip the fillers.
--
-- Needs  version (of the session; this changes it), the argument layout
--
-- No script may remove a key even for a moment: a Cluster whose slot is on its way refuses the
-- command that would create the key again, in the middle of the script.
if layout >= 2 and version < 2 then
  version = 2
  redis.call('HSET', state, 'v', 2)
  redis.call('HSET', pending, '', '{}')
  for _, name in ipairs({steps, reasoning}) do
    if redis.call('LLEN', name) == 0 then
      redis.call('RPUSH', name, '{}')
    end
  end
end

  redis.call('RPUSH', history, message)
  redis.call('HDEL', pending, call_id)
  redis.call('HSET', state, 'updated_at', now, 'history_bytes', bytes + #message, 'last_role', 'tool')
  local entries = {'c:' .. call_id, answered}
  if key ~= '' then
    entries[3], entries[4] = 'k:' .. key, key_entry(call_step)
  end
  remember(entries, fence, turn, tonumber(ledger_due or '0'))
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

  return {'waiting', now, call_step, length + 1, unpack(open_calls())}
end

-- 4. A step opens in the log: the first write, and the one that can fail.
-- open_log(step, oldest_kept, more_fields) opens a step in the log with the entry STEP-0, and trims
-- the steps before the last three.
--
-- Needs    the arguments nonce and owner
--
-- step         the session's fence + 1
-- oldest_kept  optional: entries of this step and of later ones stay, too
-- more_fields  optional: a function from the step's number to more fields and values of the entry
--
-- It must be a script's first write: it fails where a person's edit has put the log ahead of the
-- fence. Then the step's number moves behind the log, before anything else is written.
--
-- Returns the step's number, or nil and Redis's error.
local function open_log(step, oldest_kept, more_fields)
  for try = 1, 2 do
    local minimum, opened = math.max(math.min(step - 2, oldest_kept or step), 0), nil
    if more_fields then
      opened = redis.pcall('XADD', events, 'MINID', minimum, step .. '-0', 'nonce', nonce, 'owner', owner, more_fields(step))
    else
      opened = redis.pcall('XADD', events, 'MINID', minimum, step .. '-0', 'nonce', nonce, 'owner', owner)
    end
    if type(opened) ~= 'table' then
      return step
    elseif try == 2 then
      return nil, opened
    end
    local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)
    step = math.max(step, tonumber(last[1] and string.match(last[1][1], '^%d+') or '0') + 1)
  end
end

local opened, failure = open_log(fence + 1)
if failure then
  return failure
end
fence = opened

-- 5. The rest is written.
-- Moves the session to layout 2, if this replica may write it: every key exists as long as the
-- session does. A Cluster that moves the slot can then serve the session until the first of its
-- keys has left, and again once the last has arrived. Readers skip the fillers.
--
-- Needs  version (of the session; this changes it), the argument layout
--
-- No script may remove a key even for a moment: a Cluster whose slot is on its way refuses the
-- command that would create the key again, in the middle of the script.
if layout >= 2 and version < 2 then
  version = 2
  redis.call('HSET', state, 'v', 2)
  redis.call('HSET', pending, '', '{}')
  for _, name in ipairs({steps, reasoning}) do
    if redis.call('LLEN', name) == 0 then
      redis.call('RPUSH', name, '{}')
    end
  end
end

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
-- Closes the open calls, since a user's message came before their results: adds a tool message for
-- each to messages, and its entry to entries.
--
-- Needs  messages, entries, fence, open_calls, the arguments cancelled_start and cancelled_end
-- json_string(text) returns `text` as a JSON string, byte for byte as replicas write it, since they
-- search messages for these bytes. (cjson escapes `/`.)
local function json_string(text)
  local escapes = {
    ['"'] = '\\"', ['\\'] = '\\\\', ['\b'] = '\\b', ['\t'] = '\\t', ['\n'] = '\\n', ['\f'] = '\\f', ['\r'] = '\\r',
  }
  text = string.gsub(text, '[%z\1-\31"\\]', function(byte)
    return escapes[byte] or string.format('\\u%04x', string.byte(byte))
  end)
  text = string.gsub(text, '\194\133', '\\u0085')
  text = string.gsub(text, '\226\128\168', '\\u2028')
  text = string.gsub(text, '\226\128\169', '\\u2029')
  return '"' .. text .. '"'
end

local ids, fields = open_calls(), {}
for i, id in ipairs(ids) do
  fields[i] = 'c:' .. id
end
local calls = redis.call('HMGET', ledger, unpack(fields))
for i, id in ipairs(ids) do
  messages[#messages + 1] = cancelled_start .. json_string(id) .. cancelled_end
  entries[#entries + 1] = fields[i]
  entries[#entries + 1] = (calls[i] and string.match(calls[i], '^%d+ %d+') or fence .. ' 0') .. ' cancelled'
end

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
  'turn', turn, 'rejected', '', 'run', fence .. ' ' .. instance .. (is_small(has_size and bytes, length) and ' 1' or ' 0'))
if is_new then
  redis.call('HSETNX', state, 'created_at', now)
end
remember(entries, fence, turn, tonumber(ledger_due or '0'))
-- A hint: a user without the right to publish must not fail a script that has written.
redis.pcall(publish, wake, fence)
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

return started()
