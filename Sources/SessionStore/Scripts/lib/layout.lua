-- Moves the session to layout 2, if this replica may write it: every key exists as long as the
-- session does. A Cluster that moves the slot can then serve the session until the first of its
-- keys has left, and again once the last has arrived. Readers skip the fillers.
--
-- Needs  version (of the session; this changes it), the argument layout
--
-- No script may remove a key even for a moment: a Cluster whose slot is on its way refuses the
-- command that would create the key again, in the middle of the script.
if layout >= 2 and version < 2 then
  version = 2
  redis.call('HSET', state, 'v', 2)
  redis.call('HSET', pending, '', '{}')
  for _, name in ipairs({steps, reasoning}) do
    if redis.call('LLEN', name) == 0 then
      redis.call('RPUSH', name, '{}')
    end
  end
end
