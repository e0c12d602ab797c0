-- Gives all keys of the session one expiry time (I8), or none. It is for scripts that create keys:
-- if the session has an expiry of an earlier setting, the new keys would stay behind without it.
--
-- Needs  now, the argument ttl (milliseconds; 0 for none)
-- uses  expiry
if ttl == 0 and redis.call('PTTL', state) >= 0 then
  for _, name in ipairs(KEYS) do
    redis.call('PERSIST', name)
  end
end
