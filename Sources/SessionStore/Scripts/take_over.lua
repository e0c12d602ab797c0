#!lua
-- take_over: takes the next lease on a session whose step runs: because the step's own lease has
-- run out or was released, or by force.
--
-- Safe to repeat with the same token.
--
-- KEYS  history, state, pending, ledger, events, steps, reasoning
-- ARGV  token             random, names this attempt to take over
--       nonce             four characters for the event ids of this lease
--       owner             the new owner's name
--       lease             milliseconds
--       ttl               milliseconds, 0 for none
--       step              the fence that is meant; refused if another step runs by now
--       force             whether a lease that has not run out is preempted (cancel, interrupt)
--       new_intent        cancel, or ''
--       max_attempts      how often a step may begin in all; a step that has used them up fails
--       publish           PUBLISH, or SPUBLISH on a Cluster
--       wake              the channel that wakes followers
--       replica_channels  prefix of the replicas' channels
--       session           the session's name; the former owner is sent `NAME STEP`
--       known_layout      the highest layout that this replica can read
--       instance          the new owner's process
--       verdict           on a step that two owners have lost: '' if not known yet, run, fail
--       ahead_bytes       the largest history that comes with the reply, in bytes
--       ahead_messages    the same in messages
--       subject           the user in whose name the step is ended; '' for a key that acts for the
--                         whole tenant, and for a replica
--       opens_unowned     whether that user reaches sessions without an owner
--       grace             milliseconds that a write keeps a session which has reached its greatest age
--
-- Replies  taken   now step replaces previous_owner action epoch length model tools metadata
--                  on_disconnect bytes messages chain kept reasoning slot owner_subject
--                  max_age; the history, the reasoning and the owner come as in begin_step, the
--                  slot and the age as begin_step got them;
--                  chain: the steps that it replaces, `STEP NONCE,STEP NONCE …`;
--                  action: run (again), cancel (finish the cancel), fail (attempts used up)
--          alive   now step lease_left     the lease has not run out
--          gone    now step                that step no longer runs; step is the session's latest, 0
--                                          for another user's session
--          suspect now step lapsed run...  two owners have lost it, and no verdict came: ms since
--                                          its end, and each loss as `STEP INSTANCE ASKED`
--          newer   now layout              a build that knows a later layout wrote the session

-- uses  clock
local status, fence, holder, lease_until, epoch, model, tools, metadata, on_disconnect, attempt, intent, former_owner,
  replaces, previous_owner, first_step, version, run, lost_runs, chain, former_nonce, bytes, slot,
  owner_subject, kept_age = unpack(redis.call('HMGET', state,
  'status', 'fence', 'token', 'lease_until', 'epoch', 'model', 'tools', 'metadata', 'on_disconnect', 'attempt', 'intent', 'owner',
  'replaces', 'previous_owner', 'origin', 'v', 'run', 'lost', 'chain', 'nonce', 'history_bytes', 'slot',
  'subject', 'max_age'))
-- uses  owner
if is_foreign then
  return {'gone', now, 0}
end
version = tonumber(version or '1')
if version > known_layout then
  return {'newer', now, version}
end
fence, attempt, intent = tonumber(fence or '0'), tonumber(attempt or '1'), intent or ''
former_owner, chain, bytes = former_owner or '', chain or '', bytes and tonumber(bytes)
-- Before the first write: a person may have put a value of another type there.
local length = redis.call('LLEN', history)
redis.call('HLEN', ledger)
redis.call('LLEN', reasoning)

-- The step that began on its own. The fields stay when the next step begins; they belong to this
-- step only if they directly precede it.
local origin = tonumber(replaces or '0') == fence - 1 and tonumber(first_step or '') or fence
-- A build that knows no slots leaves those of an earlier step.
slot = string.match(slot or '', '^' .. origin .. ' (.*)$') or ''
local max_age = tonumber(string.match(kept_age or '', '^' .. origin .. ' (%d+)$') or '0')

-- uses  small_list

-- Returns the reply to a call that holds the lease.
local function taken(replaced, owner_before)
  local action = 'run'
  if intent ~= '' then
    action = intent
  elseif attempt > max_attempts then
    action = 'fail'
  end
  local kept = version >= 2 and redis.call('LLEN', reasoning) or 0
  local small = action == 'run' and is_small(bytes, length)
  return {'taken', now, fence, replaced, owner_before, action, epoch or '', length, model or '', tools or '', metadata or '',
    on_disconnect or '', bytes or 0, small and small_list(history, length) or {}, chain, kept,
    small and small_list(reasoning, kept) or {}, slot, owner_subject, max_age}
end

if holder == token then
  -- The call came again: the caller counts its lease from now.
  redis.call('HSET', state, 'lease_until', now + lease)
  return taken(tonumber(replaces or '0'), previous_owner or '')
end
if status ~= 'running' or fence ~= step then
  return {'gone', now, fence}
end
local left = tonumber(lease_until or '0') - now
if left > 0 and not force then
  return {'alive', now, fence, left}
end

-- Those entries of a list of `STEP …,` that belong to the steps since `origin`, at most the last
-- 32: a build that knows layout 1 alone leaves older ones behind.
local function since_origin(list)
  local found = {}
  for entry in string.gmatch(list, '[^,]+') do
    if tonumber(string.match(entry, '^%d+') or '0') >= origin then found[#found + 1] = entry end
  end
  while #found > 32 do table.remove(found, 1) end
  return found
end
local lost, links = since_origin(lost_runs or ''), since_origin(chain)
links[#links + 1] = fence .. ' ' .. (former_nonce or '')
if new_intent ~= '' then
  intent = new_intent
else
  if holder and holder ~= '' then
    -- The step was not released: its owner is silent.
    lost[#lost + 1] = string.match(run or '', '^' .. fence .. ' ') and run or fence .. ' - 0'
    if intent == '' and attempt == 2 and #lost >= 2 and attempt < max_attempts then
      if verdict == '' then
        return {'suspect', now, fence, -left, unpack(lost)}
      elseif verdict == 'fail' then
        attempt = max_attempts
      end
    end
  end
  attempt = attempt + 1
end
local restart = intent == '' and attempt <= max_attempts
-- uses  log_opening
local next_step, failure = open_log(fence + 1, origin, function(new_step)
  if not restart then
    return 'replaces', step
  end
  return 'replaces', step, 'restart', '{"type":"restart","step":' .. new_step .. ',"replaces":' .. step .. ',"reason":"replica_lost"}'
end)
if failure then
  return failure
end
fence, chain = next_step, table.concat(links, ',')
redis.call('HSET', state, 'fence', fence, 'token', token, 'nonce', nonce, 'owner', owner,
  'lease_until', now + lease, 'attempt', attempt, 'intent', intent, 'replaces', step,
  'origin', origin, 'previous_owner', former_owner, 'updated_at', now, 'lost', table.concat(lost, ','),
  'chain', chain, 'run', fence .. ' ' .. instance .. (restart and is_small(bytes, length) and ' 1' or ' 0'))
redis.call('HSET', ledger, 't:' .. token, fence .. ' begun')
-- Hints: a user without the right to publish must not fail a script that has written.
redis.pcall(publish, wake, fence)
redis.pcall('PUBLISH', replica_channels .. former_owner, session .. ' ' .. step)
-- uses  expiry
return taken(step, former_owner)
