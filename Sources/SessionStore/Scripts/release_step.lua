#!lua flags=allow-oom
-- release_step: a replica that must stop lets another one take its step at once. It does not count as an attempt.
--
-- KEYS  1 history  2 state  3 pending  4 ledger  5 events  6 steps  7 reasoning
-- ARGV  1 token  2 publish command  3 wake channel
--
-- The token is taken back, too: a call of its owner's whose answer was lost may arrive at any later time, and must not hold the step again.
--
-- Answers  {'released', now} (again for a repeated call, while nobody has taken the step), {'lost', now, fence, intent}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local s = redis.call('HMGET', KEYS[2], 'token', 'fence', 'intent', 'status', 'released')
local again = s[1] == '' and s[4] == 'running' and s[5] == ARGV[1]
if s[1] ~= ARGV[1] and not again then
  return {'lost', now, tonumber(s[2] or '0'), s[3] or ''}
end
if not again then
  redis.call('HSET', KEYS[2], 'lease_until', 0, 'token', '', 'released', ARGV[1])
  redis.call('HINCRBY', KEYS[2], 'attempt', -1)
  -- A hint: a user without the right to publish must not fail a script that has written.
  redis.pcall(ARGV[2], ARGV[3], s[2])
end
return {'released', now}
