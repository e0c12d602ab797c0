-- The history where it is small enough to come with the lease: the replica then asks the model at
-- once. The replica reads a longer one in pages, since Lua would take ten times as long for it.
--
-- Needs  the arguments ahead_bytes and ahead_messages

-- is_small(bytes, length) returns whether a history of this size comes with the lease. `bytes` is
-- nil or false where the state does not know the size.
local function is_small(bytes, length)
  return bytes and bytes <= ahead_bytes and length <= ahead_messages
end

-- small_list(name, count) returns a whole list; an empty one where it has more than `ahead_bytes`,
-- since a person has added to it and the state's size is not true.
local function small_list(name, count)
  local elements, size, page_size = {}, 0, 4
  while #elements < count do
    local page = redis.call('LRANGE', name, #elements, #elements + page_size - 1)
    for _, element in ipairs(page) do
      size = size + #element
      elements[#elements + 1] = element
    end
    if #page == 0 or size > ahead_bytes then
      return {}
    end
    page_size = page_size * 4
  end
  return elements
end
