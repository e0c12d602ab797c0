-- open_log(step, oldest_kept, more_fields) opens a step in the log with the entry STEP-0, and trims
-- the steps before the last three.
--
-- Needs    the arguments nonce and owner
--
-- step         the session's fence + 1
-- oldest_kept  optional: entries of this step and of later ones stay, too
-- more_fields  optional: a function from the step's number to more fields and values of the entry
--
-- It must be a script's first write: it fails where a person's edit has put the log ahead of the
-- fence. Then the step's number moves behind the log, before anything else is written.
--
-- Returns the step's number, or nil and Redis's error.
local function open_log(step, oldest_kept, more_fields)
  for try = 1, 2 do
    local minimum, opened = math.max(math.min(step - 2, oldest_kept or step), 0), nil
    if more_fields then
      opened = redis.pcall('XADD', events, 'MINID', minimum, step .. '-0', 'nonce', nonce, 'owner', owner, more_fields(step))
    else
      opened = redis.pcall('XADD', events, 'MINID', minimum, step .. '-0', 'nonce', nonce, 'owner', owner)
    end
    if type(opened) ~= 'table' then
      return step
    elseif try == 2 then
      return nil, opened
    end
    local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)
    step = math.max(step, tonumber(last[1] and string.match(last[1][1], '^%d+') or '0') + 1)
  end
end
