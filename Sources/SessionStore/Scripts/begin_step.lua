#!lua
-- begin_step: accepts one message and, where a generation is due, takes the session's lease for it.
--
-- Safe to repeat: the same token, the same Idempotency-Key or the same tool result never writes twice; the same token has its lease anew. Everything is
-- checked before the first write, since Redis rolls nothing back. Without script flags Redis refuses the whole script when it
-- is out of memory, before it has written anything.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps  7 reasoning
-- ARGV  1 token             random, names this attempt to begin
--       2 nonce             four characters for the event ids of this lease
--       3 owner             the replica's name
--       4 lease             milliseconds
--       5 hint              Redis time in ms until which the sweeper was told to look; refused once it has passed
--       6 ttl               milliseconds, 0 for none
--       7 kind              user | tool_result | retry | replace (a retry with another user message
--                           in the place of the last one)
--       8 message           the chat message as JSON; '' for retry
--       9 system prompt     a chat message as JSON, the first of a new session; '' for none
--      10 idempotency key   '' for none
--      11 request digest    of the whole request, beside the key
--      12 call id           tool_result only
--      13 tool name         tool_result only; '' when the client did not give it
--      14 result digest     tool_result only
--      15 expected length   of the history before this message; '' for any
--      16 model             for the turn; '' keeps what the turn has (tool_result, retry)
--      17 tools             JSON array for the turn; '' as above
--      18 metadata          JSON object, stored with the step; '' as above
--      19 on_disconnect     continue | cancel; '' as above
--      20 ledger bound      entries that are kept beside those that the session may still need
--      21 publish command   PUBLISH, or SPUBLISH on a Cluster
--      22 wake channel
--      23 most messages     a history that has as many takes nothing more; 0 for no bound
--      24 most bytes        that a history may have with this message; 0 for no bound
--      25 layout            what this replica may write: 1 or 2
--      26 known layout      the highest one that this replica can read
--      27 instance          the owner's process
--      28 most bytes        of a history that comes with the answer
--      29 most messages     of the same
--
-- Answers, always with Redis's time in milliseconds second:
--   started   now step length model tools metadata on_disconnect epoch bytes messages kept reasoning
--                        the lease is held. `messages` is the history where it is small, else an
--                        empty array: the replica then reads it in pages, since the lease keeps it
--                        still, and Lua would take ten times as long for a long one.
--                        `kept` counts the entries of the reasoning; `reasoning` has them all, or
--                        none of them, by the same rule
--   waiting   now step length ids...      stored; the calls named still want a result, where the turn was not given up since
--   replay    now step length             seen before; follow this step
--   busy      now step lease_left         a step runs
--   orphaned  now step                    a step's lease has run out
--   late      now                         the hint has passed: send it again with a later one
--   newer     now layout                  a build wrote the session that knows a later layout
--   orphan    now step answer             one of the refusals below, of a session whose running
--                                         step has lost its lease: somebody should take it over
--   idempotency_mismatch now | unknown_call now | result_conflict now | call_closed now | nothing_to_retry now
--   tool_name_mismatch now name | calls_pending now ids... | history_mismatch now length | history_full now length bytes
local history, state, pending, ledger, events, steps, reasoning = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local token, kind, key, call_id = ARGV[1], ARGV[7], ARGV[10], ARGV[12]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local s = redis.call('HMGET', state,
  'status', 'fence', 'token', 'lease_until', 'epoch', 'model', 'tools', 'metadata', 'on_disconnect', 'history_bytes',
  'v', 'last_role', 'turn', 'rejected', 'ledger_due')
local status, fence = s[1] or 'idle', tonumber(s[2] or '0')
local model, tools, metadata, on_disconnect = s[6] or '', s[7] or '', s[8] or '', s[9] or ''
local epoch = s[5] or ''
local version, last_role, turn = tonumber(s[11] or '1'), s[12], tonumber(s[13] or '0')
if version > tonumber(ARGV[26]) then
  return {'newer', now, version}
end
local length = redis.call('LLEN', history)
-- Before anything is written: somebody may have put something else there.
redis.call('LLEN', reasoning)
local bytes = length > 0 and tonumber(s[10] or '0') or 0
local has_size = s[10] or length == 0
if length == 0 then
  -- What is left of a session whose history is gone, by hand or by an expiry of its own, belongs to no conversation.
  redis.call('DEL', pending, reasoning)
  version = 1
end
if version < 2 or last_role == '' then
  -- Builds that know layout 1 alone do not keep it.
  last_role = false
end
local seen = redis.call('HMGET', ledger, 't:' .. token, 'k:' .. key, 'c:' .. call_id)

-- Whether the history is known to be small enough to come with the answer. The replica then asks the model at once.
local function is_small()
  return has_size and bytes <= tonumber(ARGV[28]) and length <= tonumber(ARGV[29])
end

-- A whole list; nothing of it where it is larger than the state says, since somebody has added to it by hand.
local function small_list(name, count)
  local elements, size, page_size = {}, 0, 4
  while #elements < count do
    local page = redis.call('LRANGE', name, #elements, #elements + page_size - 1)
    for _, element in ipairs(page) do
      size = size + #element
      elements[#elements + 1] = element
    end
    if #page == 0 or size > tonumber(ARGV[28]) then
      return {}
    end
    page_size = page_size * 4
  end
  return elements
end

-- The lease is ours: what the replica needs to run the step.
local function started()
  local kept = version >= 2 and redis.call('LLEN', reasoning) or 0
  local small = is_small()
  return {'started', now, fence, length, model, tools, metadata, on_disconnect, epoch, bytes,
    small and small_list(history, length) or {}, kept, small and small_list(reasoning, kept) or {}}
end

-- A refusal does not hide a step that has lost its replica.
local function refuse(...)
  if status == 'running' and tonumber(s[4] or '0') <= now then
    return {'orphan', now, fence, {...}}
  end
  return {...}
end

-- Layout 2 keeps a field in `pending` that is no call, so that the key always exists.
local function open_count()
  return redis.call('HLEN', pending) - redis.call('HEXISTS', pending, '')
end

-- The ids of the open calls, in the model's order.
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

-- Whether a user's message closed some of a step's calls: the step after it answers that message, and not the results that had come before.
local function was_given_up(step)
  local all = redis.call('HGETALL', ledger)
  for i = 2, #all, 2 do
    if string.find(all[i], '^' .. step .. ' %d+ cancelled') then
      return true
    end
  end
  return false
end

-- What was seen before.
if s[3] == token then
  -- Sent again: whoever asks counts its lease from now.
  redis.call('HSET', state, 'lease_until', now + tonumber(ARGV[4]))
  return started()
end
if seen[1] then
  return {'replay', now, tonumber(string.match(seen[1], '^%d+')), length}
end
if key ~= '' and seen[2] then
  local step, digest = string.match(seen[2], '^(%d+) (%S*)')
  if digest ~= ARGV[11] then
    return refuse('idempotency_mismatch', now)
  end
  if kind ~= 'tool_result' then
    return {'replay', now, tonumber(step), length}
  end
end

-- What contradicts the session.
local call_step, call_index
if kind == 'tool_result' then
  if not seen[3] then
    return refuse('unknown_call', now)
  end
  local step, index, what, rest = string.match(seen[3], '^(%d+) (%d+) (%a+) ?(.*)$')
  call_step, call_index = tonumber(step), index
  if what == 'answered' then
    if rest ~= ARGV[14] then
      return refuse('result_conflict', now)
    end
    if status == 'waiting' and fence == call_step then
      return {'waiting', now, call_step, length, unpack(open_calls())}
    end
    if was_given_up(call_step) then
      return {'waiting', now, call_step, length}
    end
    return {'replay', now, call_step + 1, length}
  elseif what ~= 'pending' or redis.call('HEXISTS', pending, call_id) == 0 then
    return refuse('call_closed', now)
  end
  if ARGV[13] ~= '' and ARGV[13] ~= rest then
    return refuse('tool_name_mismatch', now, rest)
  end
end
if status == 'running' then
  local left = tonumber(s[4] or '0') - now
  if left > 0 then
    return {'busy', now, fence, left}
  end
  return {'orphaned', now, fence}
end
if ARGV[15] ~= '' and tonumber(ARGV[15]) ~= length then
  return {'history_mismatch', now, length}
end
local open = open_count()
local retries = kind == 'retry' or kind == 'replace'
local last = (retries or (s[14] or '') ~= '') and redis.call('LINDEX', history, -1)
local role = last and (last_role or string.match(last, '^{"role":"(%a+)"') or '')
if retries then
  if open > 0 then
    return {'calls_pending', now, unpack(open_calls())}
  end
  if role ~= 'user' and (role ~= 'tool' or kind == 'replace') then
    return {'nothing_to_retry', now}
  end
end
-- What another message takes the place of. One that the model's server has refused goes when the next one comes.
local removed = ''
local rejected = fence .. ' ' .. (length - 1)
if role == 'user' and (kind == 'replace' or kind == 'user' and s[14] == rejected) then
  removed = last
end
-- Results of open calls are always taken: without them the session could only be deleted.
local after = length - (removed ~= '' and 1 or 0)
if kind ~= 'tool_result' and ((ARGV[23] ~= '0' and after >= tonumber(ARGV[23]))
  or (ARGV[24] ~= '0' and math.max(0, bytes - #removed) + #ARGV[8] > tonumber(ARGV[24]))) then
  return {'history_full', now, length, bytes}
end
if tonumber(ARGV[5]) <= now then
  return {'late', now}
end

-- A call id as a JSON string, in the very bytes in which the servers write it, since they look for them. (cjson escapes `/`.)
local escapes = {['"'] = '\\"', ['\\'] = '\\\\', ['\b'] = '\\b', ['\t'] = '\\t', ['\n'] = '\\n', ['\f'] = '\\f', ['\r'] = '\\r'}
local function quoted(text)
  text = string.gsub(text, '[%z\1-\31"\\]', function(byte)
    return escapes[byte] or string.format('\\u%04x', string.byte(byte))
  end)
  text = string.gsub(text, '\194\133', '\\u0085')
  text = string.gsub(text, '\226\128\168', '\\u2028')
  text = string.gsub(text, '\226\128\169', '\\u2029')
  return '"' .. text .. '"'
end

-- From here on it is written.

-- Forgets what the session needs no more, oldest steps first. What stays in any case: tokens of the last steps, open calls and
-- the calls of the last two steps that made some, the keys of their results, the key of the turn's own message, and the
-- keys of as many messages as half the bound.
local function forget()
  local all, bound = redis.call('HGETALL', ledger), tonumber(ARGV[20])
  local entries, keys, latest, before = {}, {}, 0, 0
  for i = 1, #all, 2 do
    local what, step = string.sub(all[i], 1, 1), tonumber(string.match(all[i + 1], '^%d+') or '0')
    if what == 'c' and step > latest then
      latest, before = step, latest
    elseif what == 'c' and step < latest and step > before then
      before = step
    end
    local entry = {all[i], step, all[i + 1], what}
    if what == 'k' and not string.find(all[i + 1], ' result', 1, true) then
      keys[#keys + 1] = entry
    else
      entries[#entries + 1] = entry
    end
  end
  local function older(a, b)
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[1] < b[1]
  end
  table.sort(keys, older)
  local candidates = {}
  for i = 1, #keys - math.floor(bound / 2) do
    if keys[i][2] ~= turn and keys[i][2] ~= fence then candidates[#candidates + 1] = keys[i] end
  end
  for _, entry in ipairs(entries) do
    local stays = entry[2] >= before
    if entry[4] == 't' then
      stays = entry[2] > fence - math.max(2, math.floor(bound / 8))
    elseif entry[4] == 'c' and string.find(entry[3], '^%d+ %d+ pending') then
      stays = true
    end
    if not stays then candidates[#candidates + 1] = entry end
  end
  table.sort(candidates, older)
  local excess = #all / 2 - math.floor(bound * 3 / 4)
  for i = 1, math.min(excess, #candidates) do
    redis.call('HDEL', ledger, candidates[i][1])
  end
  -- A ledger that could not be made small is not looked through at every message.
  local size = redis.call('HLEN', ledger)
  redis.call('HSET', state, 'ledger_due', size >= bound and size + math.ceil(bound / 4) or 0)
end

local function remember(fields)
  for i = 1, #fields, 2 do
    redis.call('HSET', ledger, fields[i], fields[i + 1])
  end
  if redis.call('HLEN', ledger) > math.max(tonumber(ARGV[20]), tonumber(s[15] or '0')) then
    forget()
  end
end

-- What tells a key of a result from one of a message. (Layout 1 tells them apart by nothing.)
local function key_entry(step)
  return step .. ' ' .. ARGV[11] .. (kind == 'tool_result' and version >= 2 and ' result' or '')
end

-- Layout 2: every key exists as long as the session does, so that a Cluster that moves the slot serves the session until its
-- first key goes, and from when its last one has come. Readers pass over the fillers. No script may remove a key even for a moment:
-- a Cluster whose slot is on its way refuses the command that would make it again, in the middle of the script.
local function move_to_layout()
  if tonumber(ARGV[25]) < 2 or version >= 2 then
    return
  end
  version = 2
  redis.call('HSET', state, 'v', 2)
  redis.call('HSET', pending, '', '{}')
  for _, name in ipairs({steps, reasoning}) do
    if redis.call('LLEN', name) == 0 then
      redis.call('RPUSH', name, '{}')
    end
  end
end

local function expire()
  if ARGV[6] == '0' then
    -- The setting may have been another one when the keys were made.
    if redis.call('PTTL', state) >= 0 then
      for _, name in ipairs(KEYS) do
        redis.call('PERSIST', name)
      end
    end
  else
    local at = now + tonumber(ARGV[6])
    for _, name in ipairs(KEYS) do
      redis.call('PEXPIREAT', name, at)
    end
  end
end

-- A result that leaves other calls open is stored, and that is all.
if kind == 'tool_result' and open > 1 then
  move_to_layout()
  redis.call('RPUSH', history, ARGV[8])
  redis.call('HDEL', pending, call_id)
  redis.call('HSET', state, 'updated_at', now, 'history_bytes', bytes + #ARGV[8], 'last_role', 'tool')
  local answered = call_step .. ' ' .. call_index .. ' answered ' .. ARGV[14]
  if key ~= '' then
    remember({'c:' .. call_id, answered, 'k:' .. key, key_entry(call_step)})
  else
    remember({'c:' .. call_id, answered})
  end
  expire()
  return {'waiting', now, call_step, length + 1, unpack(open_calls())}
end

-- FENCE-0 is the first write: it fails where the log is ahead of the fence (somebody edited the session by hand), and
-- then the fence is moved behind the log before anything else is touched.
local function open_step()
  return redis.pcall('XADD', events, 'MINID', math.max(fence - 2, 0), fence .. '-0', 'nonce', ARGV[2], 'owner', ARGV[3])
end
fence = fence + 1
if type(open_step()) == 'table' then
  local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)
  fence = math.max(fence, tonumber(last[1] and string.match(last[1][1], '^%d+') or '0') + 1)
  local again = open_step()
  if type(again) == 'table' then
    return again
  end
end

move_to_layout()
local fields = {'t:' .. token, fence .. ' begun'}
if key ~= '' then
  fields[#fields + 1] = 'k:' .. key
  fields[#fields + 1] = key_entry(fence)
end
local is_only = removed ~= '' and length == 1
if removed ~= '' then
  if not is_only then redis.call('LTRIM', history, 0, -2) end
  length, bytes = length - 1, math.max(0, bytes - #removed)
end
local messages = {}
if length == 0 and removed == '' then
  epoch = string.sub(token, 1, 12)
  if ARGV[9] ~= '' then
    messages[1] = ARGV[9]
  end
end
if kind == 'tool_result' then
  fields[#fields + 1] = 'c:' .. call_id
  fields[#fields + 1] = call_step .. ' ' .. call_index .. ' answered ' .. ARGV[14]
elseif open > 0 then
  local ids = open_calls()
  local entries = {}
  for i, id in ipairs(ids) do
    entries[i] = 'c:' .. id
  end
  entries = redis.call('HMGET', ledger, unpack(entries))
  for i, id in ipairs(ids) do
    messages[#messages + 1] = '{"role":"tool","tool_call_id":' .. quoted(id)
      .. ',"content":"cancelled: the user went on before this tool call was answered"}'
    fields[#fields + 1] = 'c:' .. id
    fields[#fields + 1] = (entries[i] and string.match(entries[i], '^%d+ %d+') or fence .. ' 0') .. ' cancelled'
  end
end
if ARGV[8] ~= '' then
  messages[#messages + 1] = ARGV[8]
end
if #messages > 0 then
  length = redis.call('RPUSH', history, unpack(messages))
  if is_only then
    redis.call('LTRIM', history, 1, -1)
    length = length - 1
  end
  for _, message in ipairs(messages) do
    bytes = bytes + #message
  end
end
if kind == 'tool_result' then
  last_role = 'tool'
elseif kind == 'retry' then
  last_role = role
else
  last_role, turn = 'user', fence
end
for _, id in ipairs(open > 0 and redis.call('HKEYS', pending) or {}) do
  if id ~= '' then redis.call('HDEL', pending, id) end
end
if kind == 'user' then
  model, tools, metadata, on_disconnect = ARGV[16], ARGV[17], ARGV[18], ARGV[19]
else
  if ARGV[16] ~= '' then model = ARGV[16] end
  if ARGV[17] ~= '' then tools = ARGV[17] end
  if ARGV[18] ~= '' then metadata = ARGV[18] end
  if ARGV[19] ~= '' then on_disconnect = ARGV[19] end
end
redis.call('HSET', state, 'status', 'running', 'fence', fence, 'token', token, 'nonce', ARGV[2], 'owner', ARGV[3],
  'lease_until', now + tonumber(ARGV[4]), 'attempt', 1, 'intent', '', 'epoch', epoch, 'model', model, 'tools', tools,
  'metadata', metadata, 'on_disconnect', on_disconnect, 'history_bytes', bytes, 'updated_at', now, 'last_role', last_role or '',
  'turn', turn, 'rejected', '', 'run', fence .. ' ' .. ARGV[27] .. (is_small() and ' 1' or ' 0'))
if not s[2] then
  redis.call('HSETNX', state, 'created_at', now)
end
remember(fields)
-- A hint: a user without the right to publish must not fail a script that has written.
redis.pcall(ARGV[21], ARGV[22], fence)
expire()
return started()
