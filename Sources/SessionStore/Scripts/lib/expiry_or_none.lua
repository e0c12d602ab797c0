-- Gives all keys of the session one expiry time (I8), or none. It is for scripts that create keys:
-- if the session has an expiry of an earlier setting, the new keys would stay behind without it.
--
-- Needs  what expiry needs
-- uses  expiry
if not expire_at and redis.call('PTTL', state) >= 0 then
  for _, name in ipairs(KEYS) do
    redis.call('PERSIST', name)
  end
end
