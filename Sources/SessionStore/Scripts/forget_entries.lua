#!lua flags=allow-oom
-- forget_entries: removes members of an index, or hints, that have not moved since the caller looked.
--
-- KEYS  1 the sorted set
-- ARGV  member, score, member, score ...: a member goes where its score is at most the given one
--
-- Answers  {removed}
local removed = 0
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= tonumber(ARGV[i + 1]) then
    removed = removed + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return {removed}
