#!lua
-- admit: lets a step of an account begin, or says which limit forbids it and for how long. It
-- checks everything before it charges anything.
--
-- Safe to repeat: the slot bears the step's name, and a step that has its slot is charged no second
-- time.
--
-- KEYS  running, waiting, rates
--       running           sorted set: step -> until when its slot lives, in ms. A step of an account
--                         without a limit of streams has one, too: it says that the step is charged
--       waiting           sorted set: a lost step that waits for a slot -> until when the others
--                         leave the next slot to it
--       rates             hash: `r` and `t`, when the account will have as many requests and tokens
--                         as it may have at once (the theoretical arrival times of GCRA, in µs);
--                         `d` and `n`, a day of UTC (days since 1970) and its tokens
-- ARGV  step              names the step as long as it runs, on whichever replica
--       slot              milliseconds that the slot lives
--       streams           steps that may run at the same time; 0 for no limit
--       requests          requests per minute; 0 for no limit
--       tokens            tokens per minute; 0 for no limit
--       daily             tokens per day; 0 for no limit
--       reserve           tokens to charge now: no more than `tokens` and `daily`
--       is_lost           whether a replica wants to take a lost step over: it needs a slot, and was
--                         charged when it began
--       keeps_lapsed      whether slots that have lapsed still count: Redis was away, and their
--                         owners could not renew them
--       sent              Redis's time in ms when the call was sent. If the call comes much later,
--                         Redis was away since, and lapsed slots count as well
--
-- Replies  {'admitted', now}
--          {'refused', now, limit, wait}   limit: streams, requests, tokens or day; wait in ms

-- uses  clock
local score, size = redis.call('ZSCORE', running, step)
keeps_lapsed = keeps_lapsed or now - sent > slot / 3
if streams > 0 and not (score and (keeps_lapsed or tonumber(score) > now)) then
  local claims = redis.call('ZCARD', waiting)
  if claims > 0 then
    redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now)
    claims = redis.call('ZCARD', waiting)
  end
  -- A lost step goes before steps that have not begun.
  local others = is_lost and 0 or claims
  size = redis.call('ZCARD', running)
  local is_full = size + others >= streams
  if is_full and not keeps_lapsed then
    redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
    is_full = redis.call('ZCARD', running) + others >= streams
  end
  if is_full then
    if is_lost then
      redis.call('ZADD', waiting, now + slot, step)
      redis.call('PEXPIREAT', waiting, now + slot)
    end
    return {'refused', now, 'streams', 1000}
  end
  if claims > 0 then
    redis.call('ZREM', waiting, step)
  end
end
if requests + tokens + daily > 0 and not score and not is_lost then
  local us, minute, day = time[1] * 1000000 + time[2], 60000000, math.floor(now / 86400000)
  local state = redis.call('HMGET', rates, 'r', 't', 'd', 'n')
  local request_time, token_time = math.max(tonumber(state[1] or 0), us), math.max(tonumber(state[2] or 0), us)
  local count = tonumber(state[3] or 0) == day and tonumber(state[4]) or 0
  -- Times are rounded: a millisecond makes up for that.
  if requests > 0 then
    -- A clock that was set back must not refuse for longer than a minute.
    request_time = math.min(request_time, us + minute) + minute / requests
    local excess = request_time - us - minute
    if excess > 1000 then return {'refused', now, 'requests', math.ceil(excess / 1000)} end
  end
  if tokens > 0 then
    token_time = token_time + reserve * minute / tokens
    local excess = token_time - us - minute
    if excess > 1000 then return {'refused', now, 'tokens', math.ceil(excess / 1000)} end
  end
  if daily > 0 and count + reserve > daily then
    return {'refused', now, 'day', (day + 1) * 86400000 - now}
  end
  if tonumber(state[3] or 0) == day then
    redis.call('HSET', rates, 'r', request_time, 't', token_time, 'n', count + reserve)
  else
    redis.call('HSET', rates, 'r', request_time, 't', token_time, 'd', day, 'n', count + reserve)
    redis.call('PEXPIREAT', rates, (day + 2) * 86400000)
    -- An account without a limit of streams never looks for lapsed slots.
    redis.call('ZREMRANGEBYSCORE', running, '-inf', now - 86400000)
  end
end
redis.call('ZADD', running, now + slot, step)
if size == 0 or streams == 0 or now % 64 == 0 then
  -- Slots of killed replicas must not stay for good. A set that others use is given another day now
  -- and then: that is cheaper than at each call.
  redis.call('PEXPIREAT', running, now + slot + 86400000)
end
return {'admitted', now}
