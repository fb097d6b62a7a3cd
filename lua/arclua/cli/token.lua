-- SPDX-License-Identifier: MIT
-- arclua token: prints an access token, for other programs.
local command = require "arclua.cli.command"
local core = require "arclua.core"
local errors = require "arclua.errors"
local json = require "arclua.json"
local options = require "arclua.cli.options"

local token = { name = "token", summary = "print an access token" }

local function parser()
  local it = options.parser("arclua token", "Prints an access token; whoever has it can act as you "
    .. "until it expires.", "arclua token [--scope SCOPE | --resource URL] [-o text|json]")
  it:option("--scope", "For this scope (default: ARM's)."):argname "SCOPE"
  it:option("--resource", "For this resource: the scope URL/.default."):argname "URL"
  it:option("-o --output", "text (default): the token alone; json: with its expiry.")
    :argname "FORMAT"
  return it
end

-- The token goes from its own memory to standard output, by parts.
local function text(secret)
  return { secret, "\n" }
end

local function as_json(secret, info)
  local quoted, err = core.token.quote(secret)
  if not quoted then
    return nil, err
  end
  local when = math.floor(info.expires_on)
  return { '{"accessToken":', quoted, (',"expiresOn":%s,"expires_on":%d,"tokenType":"Bearer"}\n')
    :format(json.encode(core.sys.utc(when)), when) }
end

local function write(parts)
  local out = core.stdio(1)
  for _, part in ipairs(parts) do
    local ok, err = out:write(part)
    if not ok then
      return command.fail(errors.with(err, { message = "standard output: " .. err.message }))
    end
  end
  return 0
end

-- What is wrong with the options; nil = nothing.
local function complaint(values)
  local format = values.output or "text"
  if values.scope and values.resource then
    return "--scope and --resource exclude each other"
  elseif values.scope == "" or values.resource == "" then
    return ("option '--%s' is empty"):format(values.scope and "scope" or "resource")
  elseif format ~= "text" and format ~= "json" then
    return ("option '--output': text or json expected, got '%s'"):format(format)
  end
end

local function fetch(values)
  local azure, err = command.login()
  if not azure then
    return nil, err
  end
  return azure:token(values.scope or values.resource and values.resource .. "/.default")
end

function token.run(argv, base)
  local values, merged = command.parse(parser(), "token", argv, base)
  if not values then
    return merged
  end
  local wrong = complaint(values)
  if wrong then
    return command.usage("token", wrong)
  end
  local secret, info = fetch(values)
  local parts, err = nil, info
  if secret then
    parts, err = (values.output == "json" and as_json or text)(secret, info)
  end
  return parts and write(parts) or command.fail(err)
end

token.parser = parser -- for completion

return token
