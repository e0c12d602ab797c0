-- The ledger's bound.
--
-- Needs  the argument ledger_bound, the keys ledger and state

-- forget(fence, turn) removes what the session no longer needs, oldest steps first. These entries
-- stay in any case: the tokens of the last steps, open calls and the calls of the last two steps
-- that made some, the keys of their results, the key of the turn's own message, and the keys of as
-- many messages as half the bound.
local function forget(fence, turn)
  local all = redis.call('HGETALL', ledger)
  local entries, keys, latest, before = {}, {}, 0, 0
  for i = 1, #all, 2 do
    local what, step = string.sub(all[i], 1, 1), tonumber(string.match(all[i + 1], '^%d+') or '0')
    if what == 'c' and step > latest then
      latest, before = step, latest
    elseif what == 'c' and step < latest and step > before then
      before = step
    end
    local entry = {field = all[i], step = step, value = all[i + 1], what = what}
    if what == 'k' and not string.find(entry.value, ' result', 1, true) then
      keys[#keys + 1] = entry
    else
      entries[#entries + 1] = entry
    end
  end
  local function older(a, b)
    if a.step ~= b.step then return a.step < b.step end
    return a.field < b.field
  end
  table.sort(keys, older)
  local candidates = {}
  for i = 1, #keys - math.floor(ledger_bound / 2) do
    if keys[i].step ~= turn and keys[i].step ~= fence then candidates[#candidates + 1] = keys[i] end
  end
  for _, entry in ipairs(entries) do
    local stays = entry.step >= before
    if entry.what == 't' then
      stays = entry.step > fence - math.max(2, math.floor(ledger_bound / 8))
    elseif entry.what == 'c' and string.find(entry.value, '^%d+ %d+ pending') then
      stays = true
    end
    if not stays then candidates[#candidates + 1] = entry end
  end
  table.sort(candidates, older)
  local excess = #all / 2 - math.floor(ledger_bound * 3 / 4)
  for i = 1, math.min(excess, #candidates) do
    redis.call('HDEL', ledger, candidates[i].field)
  end
  -- A ledger that stays large is not searched again at every message.
  local size = redis.call('HLEN', ledger)
  redis.call('HSET', state, 'ledger_due', size >= ledger_bound and size + math.ceil(ledger_bound / 4) or 0)
end

-- remember(fields, fence, turn, due) writes entries: field, value, field, value … It searches the
-- ledger for entries to forget at the bound, or at the size `due` if that is more.
local function remember(fields, fence, turn, due)
  for i = 1, #fields, 2 do
    redis.call('HSET', ledger, fields[i], fields[i + 1])
  end
  if redis.call('HLEN', ledger) > math.max(ledger_bound, due) then
    forget(fence, turn)
  end
end
