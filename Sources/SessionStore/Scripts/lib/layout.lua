-- Moves the session to a later layout, if this replica may write it. From layout 2 on every key
-- exists as long as the session does. A Cluster that moves the slot can then serve the session until
-- the first of its keys has left, and again once the last has arrived. Readers skip the fillers. In
-- layout 3 a session may have an owner, so that builds which know none must leave it alone.
--
-- Needs  version (of the session; this changes it), the argument layout
--
-- No script may remove a key even for a moment: a Cluster whose slot is on its way refuses the
-- command that would create the key again, in the middle of the script.
if layout >= 2 and version < layout then
  redis.call('HSET', state, 'v', layout)
  if version < 2 then
    redis.call('HSET', pending, '', '{}')
    for _, name in ipairs({steps, reasoning}) do
      if redis.call('LLEN', name) == 0 then
        redis.call('RPUSH', name, '{}')
      end
    end
  end
  version = layout
end
