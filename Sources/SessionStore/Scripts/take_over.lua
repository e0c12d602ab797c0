#!lua
-- take_over: the next lease on a session whose step runs: because its own lease has run out or was released, or by force.
--
-- Safe to repeat with the same token.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps  7 reasoning
-- ARGV  1 token  2 nonce  3 owner  4 lease in ms  5 ttl in ms, 0 for none
--       6 step              the fence that is meant; refused when another step runs by now
--       7 force             1 seizes a living step (cancel, interrupt), 0 takes only what has run out
--       8 intent            cancel, or ''
--       9 attempts          how often a step may be begun in all; one that has used them up is taken to be failed, not run
--      10 publish command  11 wake channel
--      12 prefix of the replicas' channels  13 the session's name; the former owner is sent `NAME STEP`
--      14 known layout     the highest one that this replica can read
--      15 instance         the new owner's process
--      16 verdict          on a step that two owners have lost: '' not known yet, run, fail
--      17 most bytes  18 most messages     of a history that comes with the answer
--
-- Answers  taken   now step replaces previous_owner action epoch length model tools metadata
--                  on_disconnect bytes messages chain kept reasoning; the history and the reasoning
--                  come with it as in begin_step;
--                  chain: the steps whose place it took, `STEP NONCE,STEP NONCE …`;
--                  action: run (again), cancel (finish the cancel), fail (attempts used up)
--          alive   now step lease_left     it has not run out
--          gone    now step                that step does not run any more; step is the session's latest
--          suspect now step lapsed run...  two owners have lost it, and there is no verdict: ms since
--                                          the lease ran out, and each loss as `STEP INSTANCE ASKED`
--          newer   now layout              a build wrote the session that knows a later layout
local history, state, ledger, events, reasoning = KEYS[1], KEYS[2], KEYS[4], KEYS[5], KEYS[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local s = redis.call('HMGET', state, 'status', 'fence', 'token', 'lease_until', 'epoch', 'model', 'tools', 'metadata',
  'on_disconnect', 'attempt', 'intent', 'owner', 'replaces', 'previous_owner', 'origin', 'v', 'run', 'lost', 'chain', 'nonce',
  'history_bytes')
if tonumber(s[16] or '1') > tonumber(ARGV[14]) then
  return {'newer', now, tonumber(s[16])}
end
local fence, attempt, intent = tonumber(s[2] or '0'), tonumber(s[10] or '1'), s[11] or ''
-- Before anything is written: somebody may have put something else there.
local length = redis.call('LLEN', history)
redis.call('HLEN', ledger)
redis.call('LLEN', reasoning)

local function is_small()
  return s[21] and tonumber(s[21]) <= tonumber(ARGV[17]) and length <= tonumber(ARGV[18])
end

-- As in begin_step: what the state says of the size is not believed.
local function small_list(name, count)
  local elements, size, page_size = {}, 0, 4
  while #elements < count do
    local page = redis.call('LRANGE', name, #elements, #elements + page_size - 1)
    for _, element in ipairs(page) do
      size = size + #element
      elements[#elements + 1] = element
    end
    if #page == 0 or size > tonumber(ARGV[17]) then
      return {}
    end
    page_size = page_size * 4
  end
  return elements
end

local function taken(replaces, previous)
  local action = 'run'
  if intent ~= '' then
    action = intent
  elseif attempt > tonumber(ARGV[9]) then
    action = 'fail'
  end
  local kept = tonumber(s[16] or '1') >= 2 and redis.call('LLEN', reasoning) or 0
  local small = action == 'run' and is_small()
  return {'taken', now, fence, replaces, previous, action, s[5] or '', length, s[6] or '', s[7] or '', s[8] or '',
    s[9] or '', tonumber(s[21] or '0'), small and small_list(history, length) or {}, s[19] or '', kept,
    small and small_list(reasoning, kept) or {}}
end

if s[3] == ARGV[1] then
  -- Sent again: whoever asks counts its lease from now.
  redis.call('HSET', state, 'lease_until', now + tonumber(ARGV[4]))
  return taken(tonumber(s[13] or '0'), s[14] or '')
end
if s[1] ~= 'running' or fence ~= tonumber(ARGV[6]) then
  return {'gone', now, fence}
end
local left = tonumber(s[4] or '0') - now
if left > 0 and ARGV[7] ~= '1' then
  return {'alive', now, fence, left}
end

local replaces = fence
-- The step that began by itself. The fields stay when the next step begins; they are this one's only where they directly precede it.
local origin = tonumber(s[13] or '0') == fence - 1 and tonumber(s[15] or '') or fence

-- Those of a list of `STEP …,` that belong to the steps since the one that began by itself: a build that knows layout 1 alone
-- leaves older ones behind. At most the last 32.
local function since_origin(list)
  local found = {}
  for entry in string.gmatch(list or '', '[^,]+') do
    if tonumber(string.match(entry, '^%d+') or '0') >= origin then found[#found + 1] = entry end
  end
  while #found > 32 do table.remove(found, 1) end
  return found
end
local lost, chain = since_origin(s[18]), since_origin(s[19])
chain[#chain + 1] = fence .. ' ' .. (s[20] or '')
if ARGV[8] ~= '' then
  intent = ARGV[8]
else
  if s[3] and s[3] ~= '' then
    -- It was not released: its owner is silent.
    local run = s[17] or ''
    lost[#lost + 1] = string.match(run, '^' .. fence .. ' ') and run or fence .. ' - 0'
    if intent == '' and attempt == 2 and #lost >= 2 and attempt < tonumber(ARGV[9]) then
      if ARGV[16] == '' then
        return {'suspect', now, fence, -left, unpack(lost)}
      elseif ARGV[16] == 'fail' then
        attempt = tonumber(ARGV[9])
      end
    end
  end
  attempt = attempt + 1
end
local restart = intent == '' and attempt <= tonumber(ARGV[9])
local function open_step()
  local opening = {'nonce', ARGV[2], 'owner', ARGV[3], 'replaces', replaces}
  if restart then
    opening[#opening + 1] = 'restart'
    opening[#opening + 1] = '{"type":"restart","step":' .. fence .. ',"replaces":' .. replaces
      .. ',"reason":"replica_lost"}'
  end
  return redis.pcall('XADD', events, 'MINID', math.max(math.min(fence - 2, origin), 0), fence .. '-0', unpack(opening))
end
-- As in begin_step: where somebody's edit has put the log ahead of the fence, the fence is moved behind it.
fence = fence + 1
if type(open_step()) == 'table' then
  local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)
  fence = math.max(fence, tonumber(last[1] and string.match(last[1][1], '^%d+') or '0') + 1)
  local again = open_step()
  if type(again) == 'table' then
    return again
  end
end
s[19] = table.concat(chain, ',')
redis.call('HSET', state, 'fence', fence, 'token', ARGV[1], 'nonce', ARGV[2], 'owner', ARGV[3],
  'lease_until', now + tonumber(ARGV[4]), 'attempt', attempt, 'intent', intent, 'replaces', replaces,
  'origin', origin, 'previous_owner', s[12] or '', 'updated_at', now, 'lost', table.concat(lost, ','),
  'chain', s[19], 'run', fence .. ' ' .. ARGV[15] .. (restart and is_small() and ' 1' or ' 0'))
redis.call('HSET', ledger, 't:' .. ARGV[1], fence .. ' begun')
-- Hints: a user without the right to publish must not fail a script that has written.
redis.pcall(ARGV[10], ARGV[11], fence)
redis.pcall('PUBLISH', ARGV[12] .. (s[12] or ''), ARGV[13] .. ' ' .. replaces)
if ARGV[5] ~= '0' then
  local at = now + tonumber(ARGV[5])
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIREAT', name, at)
  end
end
return taken(replaces, s[12] or '')
