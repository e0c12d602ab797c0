-- Closes the open calls, since a user's message came before their results: adds a tool message for
-- each to messages, and its entry to entries.
--
-- Needs  messages, entries, fence, open_calls, the arguments cancelled_start and cancelled_end
-- uses  json_string
local ids, fields = open_calls(), {}
for i, id in ipairs(ids) do
  fields[i] = 'c:' .. id
end
local calls = redis.call('HMGET', ledger, unpack(fields))
for i, id in ipairs(ids) do
  messages[#messages + 1] = cancelled_start .. json_string(id) .. cancelled_end
  entries[#entries + 1] = fields[i]
  entries[#entries + 1] = (calls[i] and string.match(calls[i], '^%d+ %d+') or fence .. ' 0') .. ' cancelled'
end
