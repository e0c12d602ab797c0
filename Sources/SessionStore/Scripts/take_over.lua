#!lua
-- take_over: the next lease on a session whose step runs: because its own lease has run out or was released, or by force.
--
-- Safe to repeat with the same token.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps
-- ARGV  1 token  2 nonce  3 owner  4 lease in ms  5 ttl in ms, 0 for none
--       6 step              the fence that is meant; refused when another step runs by now
--       7 force             1 seizes a living step (cancel, interrupt), 0 takes only what has run out
--       8 intent            cancel, or ''
--       9 attempts          how often a step may be begun in all; one that has used them up is taken to be failed, not run
--      10 publish command  11 wake channel
--      12 prefix of the replicas' channels  13 the session's name; the former owner is sent `NAME STEP`
--
-- Answers  taken  now step replaces previous_owner action epoch length model tools metadata
--                 on_disconnect; the history is read with LRANGE, since the lease keeps it still;
--                 action: run (again), cancel (finish the cancel), fail (attempts used up)
--          alive  now step lease_left     it has not run out
--          gone   now step                that step does not run any more; step is the session's latest
local history, state, ledger, events = KEYS[1], KEYS[2], KEYS[4], KEYS[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local s = redis.call('HMGET', state, 'status', 'fence', 'token', 'lease_until', 'epoch', 'model', 'tools', 'metadata',
  'on_disconnect', 'attempt', 'intent', 'owner', 'replaces', 'previous_owner', 'origin')
local fence, attempt, intent = tonumber(s[2] or '0'), tonumber(s[10] or '1'), s[11] or ''
-- Before anything is written: somebody may have put something else there.
local length = redis.call('LLEN', history)
redis.call('HLEN', ledger)

local function taken(replaces, previous)
  local action = 'run'
  if intent ~= '' then
    action = intent
  elseif attempt > tonumber(ARGV[9]) then
    action = 'fail'
  end
  return {'taken', now, fence, replaces, previous, action, s[5] or '', length, s[6] or '', s[7] or '', s[8] or '',
    s[9] or ''}
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
if ARGV[8] ~= '' then
  intent = ARGV[8]
else
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
redis.call('HSET', state, 'fence', fence, 'token', ARGV[1], 'nonce', ARGV[2], 'owner', ARGV[3],
  'lease_until', now + tonumber(ARGV[4]), 'attempt', attempt, 'intent', intent, 'replaces', replaces,
  'origin', origin, 'previous_owner', s[12] or '', 'updated_at', now)
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
