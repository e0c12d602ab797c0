-- Gives all keys of the session one expiry time (I8): `ttl` after this write, or `max_age` after the
-- session was created if that is earlier. A step that runs at that time keeps the session: each
-- write keeps it for `grace`.
--
-- Needs  now, max_age (milliseconds; 0 for none), the arguments ttl and grace (milliseconds; 0 for
--        no ttl)
-- Sets   expire_at: false for never
local expire_at = ttl ~= 0 and now + ttl
if max_age > 0 then
  local created_at = tonumber(redis.call('HGET', state, 'created_at') or '')
  if created_at then
    local oldest = math.max(created_at + max_age, now + grace)
    expire_at = expire_at and math.min(expire_at, oldest) or oldest
  end
end
if expire_at then
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIREAT', name, expire_at)
  end
end
