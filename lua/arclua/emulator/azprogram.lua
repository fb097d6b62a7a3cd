-- SPDX-License-Identifier: MIT
-- The emulator's az and azd as programs: the few commands that sign-ins and scripts around them
-- use, answered by the emulator's Entra for its person, in the words of the real ones.
local azssh = require "arclua.emulator.azssh"
local core = require "arclua.core"
local errors = require "arclua.errors"
local json = require "arclua.json"

local program = {}

local VERSION = "2.90.0"
local MISUSE = 2
local FOREVER = 86400 -- longer than any caller waits

local function say(text)
  io.stderr:write(text, "\n")
end

local function fail(text, status)
  say("ERROR: " .. text)
  return status or 1
end

local function read(dir, name)
  return assert(core.sys.read_file(dir .. "/" .. name, 1 << 20))
end

-- Options of az: their short names, and those that take no value.
local SHORT = { ["-o"] = "--output", ["-s"] = "--subscription", ["-t"] = "--tenant",
  ["-f"] = "--file", ["-p"] = "--public-key-file" }
local FLAGS = { ["--only-show-errors"] = true, ["--debug"] = true, ["--verbose"] = true,
  ["--all"] = true, ["--no-prompt"] = true, ["--use-device-code"] = true,
  ["--check-status"] = true }

-- The words and the options of a command line; nil and what is wrong.
local function parse(argv)
  local words, options, at = {}, {}, 1
  while argv[at] do
    local name, value = argv[at]:match "^(%-%-[%w-]+)=(.*)$"
    name = name or argv[at]
    if name:sub(1, 1) ~= "-" then
      words[#words + 1] = name
    else
      name = SHORT[name] or name
      if not value and not FLAGS[name] then
        at, value = at + 1, argv[at + 1]
        if not value then
          return nil, ("argument %s: expected one argument"):format(name)
        end
      end
      options[name:sub(3)] = value or true
    end
    at = at + 1
  end
  return table.concat(words, " "), options
end

-- One token: a secret and info, or nil, err.
local function ask(self, scope)
  return core.token.request { ca = self.session.ca,
    form = { grant_type = "refresh_token", client_id = self.session.client_id,
      refresh_token = core.secret(self.session.refresh_token),
      scope = scope .. " openid profile offline_access" },
    url = ("%s/%s/oauth2/v2.0/token"):format(self.session.authority,
      self.options.tenant or self.options["tenant-id"] or self.session.tenant) }
end

---------------------------------------------------------------- output

-- What a member's name of --query means; nil for anything else than names.
local function pick(value, query)
  for name in query:gmatch "[^.]+" do
    if type(value) ~= "table" or not name:find "^[%a_][%w_]*$" then
      return nil
    end
    value = value[name]
  end
  return value
end

-- Writes pieces to standard output; a secret never is a string.
local function write(...)
  local out = core.stdio(1)
  for _, piece in ipairs { ... } do
    if not out:write(piece) then
      return 1
    end
  end
  return 0
end

local function print_value(self, value)
  local format = self.options.output or "json"
  if self.options.query then
    value = pick(value, self.options.query)
  end
  if format == "json" or format == "jsonc" then
    return write(value == nil and "" or json.encode(value) .. "\n")
  elseif format == "tsv" and type(value) ~= "table" then
    return write(tostring(value or "") .. "\n")
  elseif format == "none" then
    return 0
  end
  return fail("the emulator's az prints json, or one value as tsv, not " .. format, MISUSE)
end

-- A token beside members of an answer.
local function print_token(self, secret, members)
  local query, format = self.options.query, self.options.output
  if query and query ~= members.name then
    return print_value(self, members.others)
  elseif format == "none" then
    return 0
  elseif query and format == "tsv" then
    return write(secret, "\n")
  elseif query then
    return write(assert(core.token.quote(secret)), "\n")
  elseif format == "tsv" then
    return fail("with tsv the emulator's az wants --query", MISUSE)
  end
  return write(('{"%s": '):format(members.name), assert(core.token.quote(secret)), ", ",
    json.encode(members.others):sub(2), "\n")
end

---------------------------------------------------------------- az

local SIGN_IN = "Please run 'az login' to setup account."

local function chosen(self)
  local wanted = self.options.subscription
  for _, one in ipairs(self.session.subscriptions) do
    if wanted and (one.id == wanted:lower() or one.name == wanted)
      or not wanted and one.isDefault then
      return one
    end
  end
  return nil, ("The subscription of '%s' doesn't exist in cloud '%s'."):format(wanted,
    self.session.subscriptions[1].environmentName)
end

local function scope_of(self)
  local options = self.options
  return options.scope or (options.resource or self.session.audience) .. "/.default"
end

local function refused(err, scope)
  say("ERROR: " .. err.message)
  say("Interactive authentication is needed. Please run:\naz login --scope " .. scope)
  return 1
end

local az = {}

az["account get-access-token"] = function(self)
  local subscription, why = chosen(self)
  if self.options.tenant and self.options.subscription then
    return fail("Please specify only one of subscription and tenant, not both", MISUSE)
  elseif not subscription then
    return fail(why)
  end
  local scope = scope_of(self)
  local secret <close>, info = ask(self, scope)
  if not secret then
    return refused(info, scope)
  end
  local when = math.floor(info.expires_on)
  return print_token(self, secret, { name = "accessToken", others = {
    expiresOn = os.date("%Y-%m-%d %H:%M:%S.000000", when), expires_on = when,
    subscription = not self.options.tenant and subscription.id or nil,
    tenant = self.options.tenant or subscription.tenantId, tokenType = "Bearer" } })
end

az["account show"] = function(self)
  local subscription, why = chosen(self)
  return subscription and print_value(self, subscription) or fail(why)
end

az["account list"] = function(self)
  return print_value(self, self.session.subscriptions)
end

az["login"] = function(self)
  assert(core.sys.write_file(self.dir .. "/mode", "signed-in", 384))
  return print_value(self, self.session.subscriptions)
end

az["logout"] = function(self)
  return core.sys.write_file(self.dir .. "/mode", "signed-out", 384) and 0 or 1
end

az["version"] = function(self)
  return print_value(self, { ["azure-cli"] = VERSION, ["azure-cli-core"] = VERSION,
    ["azure-cli-telemetry"] = "1.1.0", extensions = { ssh = "2.0.8" } })
end

az["ssh cert"] = function(self)
  return azssh.cert(self, refused)
end

---------------------------------------------------------------- azd

local azd = {}

local function azd_fails(text)
  io.stdout:write(json.encode { type = "consoleMessage",
    timestamp = core.sys.utc(math.floor(core.time())),
    data = { message = "\nERROR: " .. text .. "\n" } }, "\n")
  return fail(text)
end

azd["auth token"] = function(self)
  local secret <close>, info = ask(self, self.options.scope
    or self.session.audience .. "/.default")
  if not secret then
    return azd_fails(info.message)
  end
  return print_token(self, secret, { name = "token",
    others = { expiresOn = core.sys.utc(math.floor(info.expires_on)) } })
end

azd["auth login"] = function(self)
  if self.options["check-status"] then
    io.stdout:write "Logged in to Azure\n"
    return 0
  end
  return az.login(self)
end

azd["auth logout"] = az.logout

azd["version"] = function()
  io.stdout:write "azd version 1.30.0 (commit 0000000000000000000000000000000000000000)\n"
  return 0
end

---------------------------------------------------------------- what goes wrong

local COMMANDS = { az = az, azd = azd }
local ANYWAY = { version = true, login = true, logout = true, ["auth login"] = true,
  ["auth logout"] = true }

local MODES = {}

MODES["signed-out"] = function(name)
  return name == "az" and fail(SIGN_IN)
    or azd_fails "not logged in, run `azd auth login` to login"
end

MODES.expired = function(name)
  local text = "AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency "
    .. "checks by conditional access."
  if name == "azd" then
    return azd_fails(text .. " run `azd auth login` to login")
  end
  return refused({ message = text }, "https://management.core.windows.net//.default")
end

MODES.garbage = function()
  io.stdout:write "<html><body>Traceback (most recent call last):</body></html>\n"
  return 0
end

-- In a child, as az itself is one of a shell script.
MODES.hang = function()
  local child <close> = assert(core.process.spawn { args = { "sleep", tostring(FOREVER) } })
  child:wait()
  return 1
end

local function notice()
  io.stdout:write "\nNew version of the program is available: see https://aka.ms/upgrade\n"
  io.stdout:flush()
end

local function run(name, dir, argv)
  local words, options = parse(argv)
  local command = words and COMMANDS[name][words]
  local mode = read(dir, "mode"):match "%S+"
  if not command or mode == "no-extension" and words:find "^ssh" then
    return fail(words and ("'%s' is misspelled or not recognized by the system (the emulator's %s "
      .. "knows few commands)."):format(command and "ssh" or words, name) or options, MISUSE)
  elseif MODES[mode] and not ANYWAY[words] then
    return MODES[mode](name)
  elseif mode == "notice" then
    notice()
  end
  return command { dir = dir, options = options, session = json.decode(read(dir, "session.json")) }
end

--- Runs az or azd with these arguments: its exit status.
---@param name string  "az" or "azd"
---@param dir string   where az.lua has put it
---@param argv string[]
---@return integer
function program.main(name, dir, argv)
  local ok, status = pcall(run, name, dir, argv)
  if not ok then
    return fail(errors.describe(type(status) == "table" and status
      or errors.new { code = "unknown", message = tostring(status) }))
  end
  io.stdout:flush()
  return status
end

return program
