#!lua flags=allow-oom
-- delete_session: removes every key of a session in one step.
--
-- Safe to repeat: it removes the epoch that the caller has read, and nothing that began since then.
--
-- KEYS  history, state, pending, ledger, events, steps, reasoning
-- ARGV  publish           PUBLISH, or SPUBLISH on a Cluster
--       wake              the channel that wakes followers
--       replica_channels  prefix of the replicas' channels
--       session           the session's name
--       seen_epoch        the epoch that the caller has read; '' for a session that has none
--       known_layout      the highest layout that this replica can read
--       subject           the user in whose name the session is deleted; '' for a key that acts for
--                         the whole tenant
--       opens_unowned     whether that user reaches sessions without an owner
--
-- Replies  {1, now} if the session existed; {0, now} if it did not, if another one has its name, or
--          if it is another user's;
--          {'newer', now, layout} if a build that knows a later layout wrote the session

-- uses  clock
-- A state of another type can only be removed.
local found = redis.pcall('HMGET', state, 'status', 'owner', 'fence', 'epoch', 'v', 'subject')
local status, owner, fence, epoch, version, owner_subject
if not found.err then
  status, owner, fence, epoch, version, owner_subject = unpack(found)
end
-- uses  owner
if is_foreign then
  return {0, now}
end
version = tonumber(version or '1')
if version > known_layout then
  return {'newer', now, version}
end
if (epoch or '') ~= seen_epoch then
  return {0, now}
end
local removed = redis.call('DEL', unpack(KEYS))
if removed > 0 then
  -- Hints: a user without the right to publish must not fail a script that has written.
  if status == 'running' then
    redis.pcall('PUBLISH', replica_channels .. (owner or ''), session .. ' ' .. (fence or '0'))
  end
  redis.pcall(publish, wake, 'deleted')
  return {1, now}
end
return {0, now}
