-- SPDX-License-Identifier: MIT
-- Clouds as an ARM describes itself: the document at /metadata/endpoints, which needs no token. It
-- says where secrets are sent, so it comes by https from a host that the user named, or from a
-- file.
local core = require "arclua.core"
local errors = require "arclua.errors"
local json = require "arclua.json"

local metadata = {}

local QUERY = "/metadata/endpoints?api-version=2022-09-01"
local MAX = 1024 * 1024

-- By address: a program asks an ARM about itself once.
local known = {}

local function refuse(what, why)
  return errors.fail { code = "config", op = "cloud", message = ("%s: %s"):format(what, why) }
end

--- Whether a parsed file is such a document.
function metadata.is(document)
  return type(document) == "table" and (document.authentication ~= nil
    or type(document[1]) == "table" and document[1].authentication ~= nil)
end

local function list_names(list)
  local names = {}
  for i, entry in ipairs(list) do
    names[i] = tostring(entry.name)
  end
  return table.concat(names, ", ")
end

-- The entry that is meant: by its name, as the ARM that was asked, or the only one.
local function pick(document, what, arm, name, origin)
  local list = document.authentication and { document } or document
  for _, entry in ipairs(list) do
    if name and tostring(entry.name):lower() == name:lower()
      or not name and arm and type(entry.resourceManager) == "string"
      and origin(entry.resourceManager) == arm then
      return entry
    end
  end
  if #list == 1 and not name then
    return list[1]
  end
  return refuse(what, ("it describes several clouds; name one behind a '#': %s"):format(
    list_names(list)))
end

-- The login endpoint without what says that it is AD FS; true when it is.
local function authority_of(authentication, origin)
  local endpoint = authentication.loginEndpoint
  if type(endpoint) ~= "string" then
    return refuse("authentication.loginEndpoint", "a string expected")
  end
  local base, adfs = endpoint:gsub("/adfs/*$", "")
  local authority, err = origin(base)
  if not authority then
    return nil, err
  end
  return authority, nil, adfs > 0 or authentication.identityProvider == "ADFS"
end

local function name_of(entry, arm)
  local name = type(entry.name) == "string" and entry.name or arm:match "^https://([^:]+)"
  return (name:gsub("[^%w-]", "-"))
end

-- An entry as a cloud.
local function translate(entry, what, arm, origin)
  local authentication = entry.authentication
  local audiences = type(authentication) == "table" and authentication.audiences
  if type(audiences) ~= "table" or type(audiences[1]) ~= "string" then
    return refuse(what, "authentication.audiences: a list of strings expected")
  end
  local authority, err, adfs = authority_of(authentication, origin)
  if not authority then
    return refuse(what, err.message)
  end
  local manager = entry.resourceManager or arm
  manager, err = origin(type(manager) == "string" and manager or "")
  if not manager then
    return refuse(what, "resourceManager: " .. err.message)
  end
  return { name = name_of(entry, manager), azure_name = entry.name, authority = authority,
    resource_manager = manager, audience = audiences[1], adfs = adfs or nil }
end

--- The cloud that a parsed document describes.
--- Errors: config.
---@param document table
---@param what string  where it is from, for messages
---@param opts { arm: string?, name: string?, origin: fun(url: string): string?, arclua.Error? }
---   arm: the origin that was asked; name: which cloud of several
---@return table|nil, arclua.Error?
function metadata.cloud(document, what, opts)
  local entry, err = pick(document, what, opts.arm, opts.name, opts.origin)
  if not entry then
    return nil, err
  elseif type(entry) ~= "table" then
    return refuse(what, "an object expected")
  end
  return translate(entry, what, opts.arm, opts.origin)
end

--- Parses a text, which may begin with a byte order mark. Errors: protocol.
function metadata.decode(text)
  return json.decode((text:gsub("^\xEF\xBB\xBF", "")))
end

local function ask(url, what)
  local answer, err = core.http.request { url = url, max_body = MAX }
  if not answer then
    return nil, errors.with(err, { message = ("%s: %s"):format(what, err.message) })
  elseif answer.status ~= 200 then
    return refuse(what, ("status %d instead of a description of the cloud"):format(answer.status))
  end
  local document = metadata.decode(answer.body)
  if not metadata.is(document) then
    return refuse(what, "the answer is no description of a cloud")
  end
  return document
end

--- The cloud of an address: of an ARM, or of a document; behind a '#' which one of several.
--- Errors: config, and the network's.
---@param choice string
---@param origin fun(url: string): string?, arclua.Error?
---@return table|nil, arclua.Error?
function metadata.fetch(choice, origin)
  local url, name = choice:match "^([^#]*)#?(.*)$"
  local arm, err = origin((url:match "^https?://[^/?]*" or ""))
  if not arm then
    return nil, err
  elseif url:match "^https://[^/?]*/*$" then
    url = arm .. QUERY
  end
  if not known[url] then
    known[url], err = ask(url, "option '--cloud': " .. url)
  end
  if not known[url] then
    return nil, err
  end
  local cloud
  cloud, err = metadata.cloud(known[url], url, { arm = arm, name = name ~= "" and name or nil,
    origin = origin })
  if cloud then
    cloud.url = choice
  end
  return cloud, err
end

return metadata
