-- The calls of a step that want a result.
--
-- Needs  the keys pending and ledger

-- open_count() returns how many calls are open. Layout 2 keeps a field in `pending` that is not a
-- call, so that the key always exists.
local function open_count()
  return redis.call('HLEN', pending) - redis.call('HEXISTS', pending, '')
end

-- open_calls() returns the ids of the open calls, in the model's order.
local function open_calls()
  local ids = {}
  for _, id in ipairs(redis.call('HKEYS', pending)) do
    if id ~= '' then ids[#ids + 1] = id end
  end
  if #ids < 2 then
    return ids
  end
  local fields, index = {}, {}
  for i, id in ipairs(ids) do
    fields[i] = 'c:' .. id
  end
  for i, entry in ipairs(redis.call('HMGET', ledger, unpack(fields))) do
    index[ids[i]] = tonumber(entry and string.match(entry, '^%d+ (%d+)') or '0')
  end
  table.sort(ids, function(a, b)
    if index[a] ~= index[b] then return index[a] < index[b] end
    return a < b
  end)
  return ids
end

-- has_cancelled_call(step) returns whether a user's message closed some of the step's calls. The
-- step after it answers that message, and not the results that came before.
local function has_cancelled_call(step)
  local all = redis.call('HGETALL', ledger)
  for i = 2, #all, 2 do
    if string.find(all[i], '^' .. step .. ' %d+ cancelled') then
      return true
    end
  end
  return false
end
