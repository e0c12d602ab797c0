#!lua flags=allow-oom
local entries = unpack(KEYS)
local rest = 1
-- forget_entries: removes members of an index, or hints, that have not moved since the caller read
-- them.
--
-- KEYS  entries           the sorted set
-- ARGV  rest              member, score, member, score …: a member goes if its score is at most
--                         this one
--
-- Replies  {removed}
local removed = 0
for i = rest, #ARGV, 2 do
  local score = redis.call('ZSCORE', entries, ARGV[i])
  if score and tonumber(score) <= tonumber(ARGV[i + 1]) then
    removed = removed + redis.call('ZREM', entries, ARGV[i])
  end
end
return {removed}
