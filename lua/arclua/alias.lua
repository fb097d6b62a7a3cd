-- SPDX-License-Identifier: MIT
-- The name under which a machine's host key is kept: NAME.RG.SUBSCRIPTION.arc
local resource_id = require "arclua.resource_id"

local alias = {}

local function part(text)
  return (text:lower():gsub("[^a-z0-9-]", function(byte)
    return ("_%02x"):format(byte:byte())
  end))
end

--- The alias of a machine. Other resource types add .TYPE, other clouds .CLOUD, before .arc.
---@param machine { name: string, resource_group: string, subscription: string, type: string? }
---@param cloud string?  its name; nil = public
---@return string
function alias.of(machine, cloud)
  local parts = { part(machine.name), part(machine.resource_group), part(machine.subscription) }
  if machine.type and not resource_id.is_today(machine.type) then
    parts[#parts + 1] = part(machine.type)
  end
  if cloud and cloud ~= "public" then
    parts[#parts + 1] = part(cloud)
  end
  parts[#parts + 1] = "arc"
  return table.concat(parts, ".")
end

local GUID = "^" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"

local function plain(text)
  local wrong = text == "" or text:find "[^a-z0-9_-]"
    or text:gsub("_%x%x", ""):find("_", 1, true)
  return not wrong and text:gsub("_(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end) or nil
end

-- Those between dots, decoded; nil when one is not as alias.of writes it.
local function pieces(body)
  local list = {}
  for piece in (body .. "."):gmatch "([^.]*)%." do
    local text = plain(piece)
    if not text then
      return nil
    end
    list[#list + 1] = text
  end
  return list
end

--- What an alias says, in lower case; nil when text is none. The subscription's form tells it from
--- a name with dots.
---@param text string
---@return { name: string, resource_group: string, subscription: string, type: string?,
---   cloud: string? }|nil
function alias.parse(text)
  local parts = pieces(text:lower():match "^(.+)%.arc$" or "")
  if not parts or #parts < 3 or #parts > 5 or not parts[3]:find(GUID) then
    return nil
  end
  local found = { name = parts[1], resource_group = parts[2], subscription = parts[3] }
  for i = 4, #parts do
    local key = parts[i]:find "/" and "type" or "cloud"
    if found[key] then
      return nil
    end
    found[key] = parts[i]
  end
  return found
end

--- The alias of a host reached directly, as OpenSSH spells it.
---@return string
function alias.of_host(host, port)
  return port == 22 and host or ("[%s]:%d"):format(host, port)
end

return alias
