-- json_string(text) returns `text` as a JSON string, byte for byte as replicas write it, since they
-- search messages for these bytes. (cjson escapes `/`.)
local function json_string(text)
  local escapes = {
    ['"'] = '\\"', ['\\'] = '\\\\', ['\b'] = '\\b', ['\t'] = '\\t', ['\n'] = '\\n', ['\f'] = '\\f', ['\r'] = '\\r',
  }
  text = string.gsub(text, '[%z\1-\31"\\]', function(byte)
    return escapes[byte] or string.format('\\u%04x', string.byte(byte))
  end)
  text = string.gsub(text, '\194\133', '\\u0085')
  text = string.gsub(text, '\226\128\168', '\\u2028')
  text = string.gsub(text, '\226\128\169', '\\u2029')
  return '"' .. text .. '"'
end
