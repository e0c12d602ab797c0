#!lua
-- claim_place: takes the only place that there is, for a while. The holder may take it again.
--
-- KEYS  1 the sorted set: holder -> until when, in ms
-- ARGV  1 holder  2 how long, in ms
--
-- Answers  {1, now} when the place is the holder's, {0, now} when another one has it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, holder in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)) do
  local score = redis.call('ZSCORE', KEYS[1], holder)
  if score and tonumber(score) > now and holder ~= ARGV[1] then
    return {0, now}
  end
  if score then
    redis.call('ZREM', KEYS[1], holder)
  end
end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return {1, now}
