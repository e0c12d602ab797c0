#!lua
-- rewind: cuts a history to its first messages, and with it all that came of the rest: open calls,
-- and entries of ledger, journal and reasoning.
--
-- Safe to repeat: the ledger keeps the token with the step whose number the cut takes. The caller
-- has read the session before; if the session has changed since, the script writes nothing.
--
-- KEYS  history, state, pending, ledger, events, steps, reasoning
-- ARGV  token             random, names this attempt
--       nonce             four characters for the event ids of the step
--       owner             the replica's name
--       ttl               milliseconds, 0 for none
--       seen_fence        of the session, as the caller has read it
--       seen_length       of the history, as the caller has read it
--       kept              messages that stay, 1 ..< length
--       cut_bytes         of the messages that go
--       last_role         of the last message that stays
--       cut_lines         of the journal, counted from its end
--       first_step        whose calls the ledger forgets, with those of later steps; 0 for none
--       journal_line      JSON, with 0 for the step's number, which the caller does not know
--       journal_bound     lines
--       publish           PUBLISH, or SPUBLISH on a Cluster
--       wake              the channel that wakes followers
--       known_layout      the highest layout that this replica can read
--       first_key_step    whose idempotency keys the ledger forgets, with those of later steps: if
--                         a message stays, so does its key; 0 for none
--       subject           the user in whose name the history is cut; '' for a key that acts for the
--                         whole tenant
--       opens_unowned     whether that user reaches sessions without an owner
--       grace             milliseconds that a write keeps a session which has reached its greatest age
--
-- Replies  rewound now step length | busy now step | newer now layout | none now (no history, or
--          another user's)
--          moved now (the session is not as the caller has read it)

-- uses  clock
local status, fence, version, bytes, owner_subject, kept_age = unpack(redis.call('HMGET', state,
  'status', 'fence', 'v', 'history_bytes', 'subject', 'max_age'))
local max_age = tonumber(string.match(kept_age or '', ' (%d+)$') or '0')
-- uses  owner
if is_foreign then
  return {'none', now}
end
fence, version = tonumber(fence or '0'), tonumber(version or '1')
if version > known_layout then
  return {'newer', now, version}
end
local length = redis.call('LLEN', history)
local seen = redis.call('HGET', ledger, 't:' .. token)
if seen then
  return {'rewound', now, tonumber(string.match(seen, '^%d+')), length}
end
if status == 'running' then
  return {'busy', now, fence}
end
if length == 0 then
  return {'none', now}
end
if fence ~= seen_fence or length ~= seen_length or kept < 1 or kept >= length then
  return {'moved', now}
end
-- Types are checked before the first write: only a person's edit can have changed them.
redis.call('LLEN', steps)
redis.call('HLEN', pending)
redis.call('LLEN', reasoning)

-- uses  log_opening
local step, failure = open_log(fence + 1)
if failure then
  return failure
end
redis.call('LTRIM', history, 0, kept - 1)
for _, id in ipairs(redis.call('HKEYS', pending)) do
  if id ~= '' then redis.call('HDEL', pending, id) end
end
-- An element of the reasoning begins with the index of its message. The filler has none.
while true do
  local last = redis.call('LINDEX', reasoning, -1)
  if not last or tonumber(string.match(last, '^{"at":(%d+)') or '-1') < kept then break end
  redis.call('LTRIM', reasoning, 0, -2)
  cut_bytes = cut_bytes + #last
end
local first = {['c:'] = first_step, ['k:'] = first_key_step}
if first_step > 0 then
  local all = redis.call('HGETALL', ledger)
  for i = 1, #all, 2 do
    local from = first[string.sub(all[i], 1, 2)]
    if from and tonumber(string.match(all[i + 1], '^%d+') or '0') >= from then
      redis.call('HDEL', ledger, all[i])
    end
  end
end
-- No key may go even for a moment; see layout.lua.
local lines = redis.call('LLEN', steps) - cut_lines
if lines > 0 and cut_lines > 0 then
  redis.call('LTRIM', steps, 0, lines - 1)
end
redis.call('RPUSH', steps, (string.gsub(journal_line, '^{"step":0,', '{"step":' .. step .. ',')))
redis.call('LTRIM', steps, lines > 0 and -journal_bound or -1, -1)
redis.call('HSET', ledger, 't:' .. token, step .. ' rewound')
redis.call('HSET', state, 'status', 'idle', 'fence', step, 'token', '', 'nonce', nonce, 'owner', owner, 'lease_until', 0,
  'intent', '', 'updated_at', now, 'history_bytes', math.max(0, tonumber(bytes or '0') - cut_bytes),
  'last_role', last_role, 'turn', 0, 'rejected', '', 'finish_reason', '')
-- A hint: a user without the right to publish must not fail a script that has written.
redis.pcall(publish, wake, step)
-- uses  expiry
return {'rewound', now, step, kept}
