-- SPDX-License-Identifier: MIT
-- Names folded as clush does: web-01, web-02, web-03, db -> db,web-[01-03]
local nodeset = {}

-- The last run of digits is what varies: prefix, digits, suffix.
local function split(name)
  local prefix, digits, suffix = name:match "^(.-)(%d+)(%D*)$"
  if not prefix or #digits > 15 then
    return nil
  end
  return prefix, digits, suffix
end

-- Sorted numbers of one width -> "01-03,07".
local function ranges(numbers, format)
  local out, i = {}, 1
  while i <= #numbers do
    local last = i
    while numbers[last + 1] == numbers[last] + 1 do
      last = last + 1
    end
    local text = format:format(numbers[i])
    if last > i then
      text = text .. "-" .. format:format(numbers[last])
    end
    out[#out + 1] = text
    i = last + 1
  end
  return table.concat(out, ",")
end

-- What the names of a group have in common, and how its numbers are written.
local function key_of(prefix, digits, suffix)
  if not prefix then
    return nil
  elseif digits:find "^0" then
    return table.concat({ prefix, #digits, suffix }, "\0"), "%0" .. #digits .. "d"
  end
  return table.concat({ prefix, "", suffix }, "\0"), "%d"
end

-- Groups that only differ in the number: keyed by prefix, padding and suffix.
local function gather(names)
  local groups, order = {}, {}
  for _, name in ipairs(names) do
    local prefix, digits, suffix = split(name)
    local key, format = key_of(prefix, digits, suffix)
    key = key or name
    if not groups[key] then
      groups[key] = { prefix = prefix, suffix = suffix, name = name, numbers = {},
        format = format }
      order[#order + 1] = groups[key]
    end
    if prefix then
      table.insert(groups[key].numbers, tonumber(digits))
    end
  end
  return groups, order
end

-- Unpadded numbers join the padded group of their width: 08, 09, 10, 11.
local function join_widths(groups, order)
  for _, plain in ipairs(order) do
    if plain.format == "%d" then
      local rest = {}
      for _, number in ipairs(plain.numbers) do
        local width = #("%d"):format(number)
        local padded = groups[table.concat({ plain.prefix, width, plain.suffix }, "\0")]
        table.insert(padded and padded.numbers or rest, number)
      end
      plain.numbers = rest
    end
  end
end

local function text_of(group)
  if not group.prefix then
    return group.name
  end
  table.sort(group.numbers)
  local text = ranges(group.numbers, group.format)
  if #group.numbers > 1 then
    text = "[" .. text .. "]"
  end
  return group.prefix .. text .. group.suffix
end

--- One text for many names.
---@param names string[]
---@return string
function nodeset.fold(names)
  local groups, order = gather(names)
  join_widths(groups, order)
  local out = {}
  for _, group in ipairs(order) do
    if not group.prefix or #group.numbers > 0 then
      out[#out + 1] = text_of(group)
    end
  end
  table.sort(out)
  return table.concat(out, ",")
end

return nodeset
