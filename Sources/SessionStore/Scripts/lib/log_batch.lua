-- Adds the events ARGV[first_event] … (field, value, field, value …) to the log of the running
-- step.
--
-- Needs  first_event, the arguments step and last_sequence (of the last of them)
-- Sets   logged: whether an entry was added
--
-- Lua unpacks fewer than 8,000 values at once: a large batch becomes several entries, each with the
-- id of its last event. The caller holds the lease, so an id that is not above the log's was
-- written by an earlier call with this very batch, whose reply was lost; that counts as written.
local logged = false
for from = first_event, #ARGV, 2000 do
  local to = math.min(from + 1999, #ARGV)
  local sequence = last_sequence - (#ARGV - to) / 2
  local added = redis.pcall('XADD', events, step .. '-' .. sequence, unpack(ARGV, from, to))
  if type(added) ~= 'table' then
    logged = true
  elseif not string.find(added.err, 'equal or smaller', 1, true) then
    return added
  end
end
