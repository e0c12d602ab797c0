#!lua
local slots = unpack(KEYS)
local holder, duration = unpack(ARGV, 1, 2)
duration = tonumber(duration)
-- claim_place: takes the only slot that exists, for a while. Its holder may take it again.
--
-- KEYS  slots             the sorted set: holder -> until when, in ms
-- ARGV  holder
--       duration          milliseconds
--
-- Replies  {1, now} if the slot is the holder's, {0, now} if another one has it

-- Sets now: Redis's time in whole milliseconds. It stands still while a script runs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

for _, other in ipairs(redis.call('ZRANGEBYSCORE', slots, '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)) do
  local score = redis.call('ZSCORE', slots, other)
  if score and tonumber(score) > now and other ~= holder then
    return {0, now}
  end
  if score then
    redis.call('ZREM', slots, other)
  end
end
redis.call('ZADD', slots, now + duration, holder)
return {1, now}
