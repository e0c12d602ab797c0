#!lua
-- rewind: cuts a history to its first messages, and with it all that came of the rest: open calls, ledger, journal, reasoning.
--
-- Safe to repeat: the token is remembered with the step whose number the cut takes. The caller has looked at the session; where
-- that has changed since, nothing is written.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps  7 reasoning
-- ARGV  1 token             random, names this attempt
--       2 nonce             four characters for the event ids of the step
--       3 owner             the replica's name
--       4 ttl               milliseconds, 0 for none
--       5 fence             of the session, as the caller has seen it
--       6 length            of the history, as the caller has seen it
--       7 kept              messages that stay, 1 ..< length
--       8 cut bytes         of the messages that go
--       9 last role         of the last message that stays
--      10 lines             of the journal that go, counted from its end
--      11 first step        whose calls the ledger forgets; 0 for none
--      12 journal line      JSON, with 0 for the step's number, which is not known before
--      13 journal bound     lines
--      14 publish command  15 wake channel
--      16 known layout      the highest one that this replica can read
--      17 first key step    whose idempotency keys the ledger forgets: one whose message stays keeps its key; 0 for none
--
-- Answers  rewound now step length | busy now step | moved now (the session is not as the caller has seen it) |
--          none now (there is no history) | newer now layout
local history, state, pending, ledger, events, steps, reasoning = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local s = redis.call('HMGET', state, 'status', 'fence', 'v', 'history_bytes')
local fence, version = tonumber(s[2] or '0'), tonumber(s[3] or '1')
if version > tonumber(ARGV[16]) then
  return {'newer', now, version}
end
local length, kept = redis.call('LLEN', history), tonumber(ARGV[7])
local seen = redis.call('HGET', ledger, 't:' .. ARGV[1])
if seen then
  return {'rewound', now, tonumber(string.match(seen, '^%d+')), length}
end
if s[1] == 'running' then
  return {'busy', now, fence}
end
if length == 0 then
  return {'none', now}
end
if fence ~= tonumber(ARGV[5]) or length ~= tonumber(ARGV[6]) or kept < 1 or kept >= length then
  return {'moved', now}
end
-- Types are checked before the first write: only a hand could have changed them, and then nothing is half written.
redis.call('LLEN', steps)
redis.call('HLEN', pending)
redis.call('LLEN', reasoning)

-- As in begin_step: where somebody's edit has put the log ahead of the fence, the fence is moved behind it.
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
redis.call('LTRIM', history, 0, kept - 1)
for _, id in ipairs(redis.call('HKEYS', pending)) do
  if id ~= '' then redis.call('HDEL', pending, id) end
end
-- What the model wants back belongs to a message, whose index comes first in it. The filler has none.
local cut = tonumber(ARGV[8])
while true do
  local last = redis.call('LINDEX', reasoning, -1)
  if not last or tonumber(string.match(last, '^{"at":(%d+)') or '-1') < kept then break end
  redis.call('LTRIM', reasoning, 0, -2)
  cut = cut + #last
end
local first = {['c:'] = tonumber(ARGV[11]), ['k:'] = tonumber(ARGV[17])}
if first['c:'] > 0 then
  local all = redis.call('HGETALL', ledger)
  for i = 1, #all, 2 do
    local from = first[string.sub(all[i], 1, 2)]
    if from and tonumber(string.match(all[i + 1], '^%d+') or '0') >= from then
      redis.call('HDEL', ledger, all[i])
    end
  end
end
-- No key may go even for a moment; see begin_step.
local lines, bound = redis.call('LLEN', steps) - tonumber(ARGV[10]), tonumber(ARGV[13])
if lines > 0 and ARGV[10] ~= '0' then
  redis.call('LTRIM', steps, 0, lines - 1)
end
redis.call('RPUSH', steps, (string.gsub(ARGV[12], '^{"step":0,', '{"step":' .. fence .. ',')))
redis.call('LTRIM', steps, lines > 0 and -bound or -1, -1)
redis.call('HSET', ledger, 't:' .. ARGV[1], fence .. ' rewound')
redis.call('HSET', state, 'status', 'idle', 'fence', fence, 'token', '', 'nonce', ARGV[2], 'owner', ARGV[3], 'lease_until', 0,
  'intent', '', 'updated_at', now, 'history_bytes', math.max(0, tonumber(s[4] or '0') - cut),
  'last_role', ARGV[9], 'turn', 0, 'rejected', '', 'finish_reason', '')
-- A hint: a user without the right to publish must not fail a script that has written.
redis.pcall(ARGV[14], ARGV[15], fence)
if ARGV[4] ~= '0' then
  local at = now + tonumber(ARGV[4])
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIREAT', name, at)
  end
end
return {'rewound', now, fence, kept}
