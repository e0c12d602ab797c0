-- Gives all keys of the session one expiry time (I8).
--
-- Needs  now, the argument ttl (milliseconds; 0 for none)
if ttl ~= 0 then
  local expire_at = now + ttl
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIREAT', name, expire_at)
  end
end
