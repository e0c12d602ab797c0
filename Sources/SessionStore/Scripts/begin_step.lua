#!lua
-- begin_step: accepts one message and, where a generation is due, takes the session's lease for it.
--
-- Safe to repeat: the same token, the same Idempotency-Key or the same tool result never writes twice; the same token has its lease anew. Everything is
-- checked before the first write, since Redis rolls nothing back. Without script flags Redis refuses the whole script when it
-- is out of memory, before it has written anything.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps
-- ARGV  1 token             random, names this attempt to begin
--       2 nonce             four characters for the event ids of this lease
--       3 owner             the replica's name
--       4 lease             milliseconds
--       5 hint              Redis time in ms until which the sweeper was told to look; refused once it has passed
--       6 ttl               milliseconds, 0 for none
--       7 kind              user | tool_result | retry
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
--      20 ledger bound      entries
--      21 publish command   PUBLISH, or SPUBLISH on a Cluster
--      22 wake channel
--      23 most messages     a history that has as many takes nothing more; 0 for no bound
--      24 most bytes        that a history may have with this message; 0 for no bound
--
-- Answers, always with Redis's time in milliseconds second:
--   started   now step length model tools metadata on_disconnect   the lease is held. The history is read with LRANGE, mostly in
--                        the same write: the lease keeps it still, and Lua would take ten times as long for a long one
--   waiting   now step length ids...      stored; the calls named still want a result, where the turn was not given up since
--   replay    now step length             seen before; follow this step
--   busy      now step lease_left         a step runs
--   orphaned  now step                    a step's lease has run out
--   late      now                         the hint has passed: send it again with a later one
--   idempotency_mismatch now | unknown_call now | result_conflict now | call_closed now | nothing_to_retry now
--   tool_name_mismatch now name | calls_pending now ids... | history_mismatch now length | history_full now length bytes
local history, state, pending, ledger, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, kind, key, call_id = ARGV[1], ARGV[7], ARGV[10], ARGV[12]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local s = redis.call('HMGET', state,
  'status', 'fence', 'token', 'lease_until', 'epoch', 'model', 'tools', 'metadata', 'on_disconnect', 'history_bytes')
local status, fence = s[1] or 'idle', tonumber(s[2] or '0')
local model, tools, metadata, on_disconnect = s[6] or '', s[7] or '', s[8] or '', s[9] or ''
local epoch = s[5] or ''
local length = redis.call('LLEN', history)
if length == 0 then
  -- What is left of a session whose history is gone, by hand or by an expiry of its own, belongs to no conversation.
  redis.call('DEL', pending)
end
local seen = redis.call('HMGET', ledger, 't:' .. token, 'k:' .. key, 'c:' .. call_id)

-- The lease is ours: what the replica needs to run the step.
local function started()
  return {'started', now, fence, length, model, tools, metadata, on_disconnect}
end

-- The ids of the open calls, in the model's order.
local function open_calls()
  local ids = redis.call('HKEYS', pending)
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
  local step, digest = string.match(seen[2], '^(%d+) (.*)$')
  if digest ~= ARGV[11] then
    return {'idempotency_mismatch', now}
  end
  if kind ~= 'tool_result' then
    return {'replay', now, tonumber(step), length}
  end
end

-- What contradicts the session.
local call_step, call_index
if kind == 'tool_result' then
  if not seen[3] then
    return {'unknown_call', now}
  end
  local step, index, what, rest = string.match(seen[3], '^(%d+) (%d+) (%a+) ?(.*)$')
  call_step, call_index = tonumber(step), index
  if what == 'answered' then
    if rest ~= ARGV[14] then
      return {'result_conflict', now}
    end
    if status == 'waiting' and fence == call_step then
      return {'waiting', now, call_step, length, unpack(open_calls())}
    end
    if was_given_up(call_step) then
      return {'waiting', now, call_step, length}
    end
    return {'replay', now, call_step + 1, length}
  elseif what ~= 'pending' or redis.call('HEXISTS', pending, call_id) == 0 then
    return {'call_closed', now}
  end
  if ARGV[13] ~= '' and ARGV[13] ~= rest then
    return {'tool_name_mismatch', now, rest}
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
local bytes = length > 0 and tonumber(s[10] or '0') or 0
if (ARGV[23] ~= '0' and length >= tonumber(ARGV[23])) or (ARGV[24] ~= '0' and bytes + #ARGV[8] > tonumber(ARGV[24])) then
  return {'history_full', now, length, bytes}
end
local open = redis.call('HLEN', pending)
if kind == 'retry' then
  if open > 0 then
    return {'calls_pending', now, unpack(open_calls())}
  end
  local last = redis.call('LINDEX', history, -1)
  if not last or string.sub(last, 1, 19) == '{"role":"assistant"' or string.sub(last, 1, 16) == '{"role":"system"' then
    return {'nothing_to_retry', now}
  end
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
local function remember(fields)
  for i = 1, #fields, 2 do
    redis.call('HSET', ledger, fields[i], fields[i + 1])
  end
  local bound = tonumber(ARGV[20])
  if redis.call('HLEN', ledger) <= bound then
    return
  end
  -- The oldest steps go first, and a quarter of the bound at once, so that this is rare. Those of the latest step stay: the
  -- open calls, their answers so far, and the token that runs.
  local all, entries = redis.call('HGETALL', ledger), {}
  for i = 1, #all, 2 do
    local step = tonumber(string.match(all[i + 1], '^%d+') or '0')
    if step < fence and not string.find(all[i + 1], '^%d+ %d+ pending') then
      entries[#entries + 1] = {all[i], step}
    end
  end
  table.sort(entries, function(a, b)
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[1] < b[1]
  end)
  local excess = #all / 2 - math.floor(bound * 3 / 4)
  for i = 1, math.min(excess, #entries) do
    redis.call('HDEL', ledger, entries[i][1])
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
  redis.call('RPUSH', history, ARGV[8])
  redis.call('HDEL', pending, call_id)
  redis.call('HSET', state, 'updated_at', now, 'history_bytes', bytes + #ARGV[8])
  local answered = call_step .. ' ' .. call_index .. ' answered ' .. ARGV[14]
  if key ~= '' then
    remember({'c:' .. call_id, answered, 'k:' .. key, call_step .. ' ' .. ARGV[11]})
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

local fields = {'t:' .. token, fence .. ' begun'}
if key ~= '' then
  fields[#fields + 1] = 'k:' .. key
  fields[#fields + 1] = fence .. ' ' .. ARGV[11]
end
local messages = {}
if length == 0 then
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
  for _, message in ipairs(messages) do
    bytes = bytes + #message
  end
end
if open > 0 then
  redis.call('DEL', pending)
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
  'metadata', metadata, 'on_disconnect', on_disconnect, 'history_bytes', bytes, 'updated_at', now)
if not s[2] then
  redis.call('HSETNX', state, 'created_at', now)
end
remember(fields)
-- A hint: a user without the right to publish must not fail a script that has written.
redis.pcall(ARGV[21], ARGV[22], fence)
expire()
return started()
