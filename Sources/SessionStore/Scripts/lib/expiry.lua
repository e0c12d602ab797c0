-- Gives all keys of the session one expiry time (I8): `ttl` after this write, or `max_age` after the
-- session was created if that is earlier. A step that runs at that time keeps the session: each
-- write keeps it for `grace`.
--
-- Needs  now, created_at and max_age (of the state; milliseconds), the arguments ttl and grace
--        (milliseconds; 0 for no ttl)
-- Sets   expire_at: false for never
local expire_at = ttl ~= 0 and now + ttl
created_at, max_age = tonumber(created_at or '0'), tonumber(max_age or '0')
if created_at and max_age and created_at > 0 and max_age > 0 then
  local oldest = math.max(created_at + max_age, now + grace)
  expire_at = expire_at and math.min(expire_at, oldest) or oldest
end
if expire_at then
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIREAT', name, expire_at)
  end
end
