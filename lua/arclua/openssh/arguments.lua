-- SPDX-License-Identifier: MIT
-- A command line as ssh reads it: options, a destination, options again, a command. Long options
-- are ours. Of what may be said in several ways the first counts, as in ssh.
local convert = require "arclua.convert"
local words = require "arclua.openssh.words"

local arguments = {}

---@class arclua.SshArguments
---@field destination string?
---@field user string?
---@field port string?
---@field command string[]          the remote command's words; none: {}
---@field options string[]          "Keyword=value": -o, and flags that mean the same
---@field identity string[]         -i
---@field jump string?              -J
---@field ssh_config string?        -F
---@field forwards { kind: string, text: string }[]  -L, -R, -D in order
---@field stdio string?             -W
---@field tty string?               "no", "yes", "force"
---@field verbose integer           how many -v
---@field quiet boolean?
---@field log_file string?          -E
---@field version boolean?          -V
---@field help boolean?
---@field during string[]?          what follows --while
---@field long table                values of long options by key

-- What nobody can have here, and why.
local REFUSED = {
  b = "the source address cannot be chosen", B = "the source interface cannot be chosen",
  c = "ciphers cannot be chosen", m = "MACs cannot be chosen",
  G = "`ssh -G` prints what ssh_config says", I = "PKCS#11 is not supported",
  K = "GSSAPI is not supported", M = "connections are not shared",
  O = "connections are not shared", S = "connections are not shared",
  P = "tags are not supported", Q = "algorithms cannot be listed",
  w = "tunnel devices are not supported", X = "X11 is not forwarded", Y = "X11 is not forwarded",
  y = "there is no log to syslog",
}

-- What changes nothing here.
local NO_EFFECT = { ["4"] = true, ["6"] = true, C = true, k = true, x = true }

local function once(key)
  return function(state, value)
    state[key] = state[key] or value
  end
end

local function option(text)
  return function(state)
    table.insert(state.options, text)
  end
end

local function forward(kind)
  return function(state, value)
    table.insert(state.forwards, { kind = kind, text = value })
  end
end

local FLAGS = {
  A = option "ForwardAgent=yes", a = option "ForwardAgent=no",
  f = option "ForkAfterAuthentication=yes", g = option "GatewayPorts=yes",
  N = option "SessionType=none", n = option "StdinNull=yes", s = option "SessionType=subsystem",
  q = function(state) state.quiet = true end,
  T = function(state) state.tty = "no" end,
  t = function(state) state.tty = state.tty == "yes" and "force" or "yes" end,
  v = function(state) state.verbose = state.verbose + 1 end,
  V = function(state) state.version = true end,
  h = function(state) state.help = true end,
}

local VALUED = {
  D = forward "D", L = forward "L", R = forward "R", E = once "log_file", F = once "ssh_config",
  J = once "jump", l = once "user", p = once "port", W = once "stdio",
  e = function(state, value) table.insert(state.options, "EscapeChar=" .. value) end,
  i = function(state, value) table.insert(state.identity, value) end,
  o = function(state, value) table.insert(state.options, value) end,
}

-- One word of short options at argv[i]: the index after it | nil, what is wrong.
local function take_short(state, argv, i)
  local text, at = argv[i], 2
  while at <= #text do
    local letter = text:sub(at, at)
    if REFUSED[letter] then
      return nil, ("option '-%s': %s"):format(letter, REFUSED[letter])
    elseif VALUED[letter] then
      local value = text:sub(at + 1)
      if value == "" then
        i, value = i + 1, argv[i + 1]
      end
      if not value then
        return nil, ("option '-%s' needs a value"):format(letter)
      end
      VALUED[letter](state, value)
      return i + 1
    elseif FLAGS[letter] then
      FLAGS[letter](state)
    elseif not NO_EFFECT[letter] then
      return nil, ("unknown option '-%s'"):format(letter)
    end
    at = at + 1
  end
  return i + 1
end

local function store(into, what, value)
  if what.many then
    into[what.key] = into[what.key] or {}
    table.insert(into[what.key], value)
  elseif into[what.key] == nil then
    into[what.key] = value
  end
end

-- One long option at argv[i]; known: what they are, by flag.
local function take_long(state, argv, i, known)
  local flag, value = argv[i]:match "^(%-%-[^=]+)=(.*)$"
  flag = flag or argv[i]
  if flag == "--while" then
    state.during = table.move(argv, i + 1, #argv, 1, {})
    return #argv + 1
  end
  local what = known[flag]
  if not what then
    return nil, ("unknown option '%s'"):format(flag)
  elseif not what.arg then
    store(state.long, what, true)
    return i + 1, value and ("option '%s' takes no value"):format(flag)
  end
  if not value then
    i, value = i + 1, argv[i + 1]
  end
  if not value then
    return nil, ("option '%s' needs %s"):format(flag, what.arg)
  end
  local why
  value, why = convert.read(what.convert or convert.text, value, ("option '%s'"):format(flag))
  store(state.long, what, value)
  return i + 1, why
end

-- Options from argv[i] on: the index of the first word that is none, whether "--" ended them.
local function take_options(state, argv, i, known)
  while argv[i] and argv[i]:find "^%-." do
    local why
    if argv[i] == "--" then
      return i + 1, true
    elseif argv[i]:find "^%-%-" then
      i, why = take_long(state, argv, i, known)
    else
      i, why = take_short(state, argv, i)
    end
    if why then
      return nil, why
    end
  end
  return i, false
end

-- "[user@]host" or "ssh://[user@]host[:port]".
local function take_destination(state, text)
  local uri = text:match "^ssh://(.-)/?$"
  if uri then
    local rest, port = uri:match "^(.*):(%d+)$"
    state.port = state.port or port
    text = rest or uri
  end
  local user, host = text:match "^(.*)@([^@]*)$"
  state.user = state.user or user
  state.destination = host or text
  if state.destination == "" or user == "" then
    return nil, ("[USER@]MACHINE expected, got '%s'"):format(text)
  end
  return true
end

--- Reads a command line. known: long options by flag, { key, arg?, many?, convert? }; those named
--- "name" stand for the destination.
---@param argv string[]
---@param known table<string, { key: string, arg: string?, many: boolean?, convert: function? }>
---@return arclua.SshArguments|nil, string? what_is_wrong
function arguments.parse(argv, known)
  local state = { options = {}, identity = {}, forwards = {}, long = {}, verbose = 0 }
  local i, ended = take_options(state, argv, 1, known)
  if i and ended and state.long.name then -- as az has it: -- and then what is ssh's
    i, ended = take_options(state, argv, i, known)
  elseif i and argv[i] and not state.long.name then
    local ok, why = take_destination(state, argv[i])
    if not ok then
      return nil, why
    end
    i = i + 1
    if not ended then
      i, ended = take_options(state, argv, i, known)
    end
  end
  if not i then
    return nil, ended
  end
  state.command = table.move(argv, i, #argv, 1, {})
  return state
end

--- A value of an option "Keyword=value", quoted.
---@return string
function arguments.quote(text)
  return '"' .. text:gsub('["\\]', "\\%0") .. '"'
end

--- The values that "Keyword=value" options give to a keyword, in order: lists of words. Those
--- whose quotes are wrong are left to whoever reads all of them.
---@param options string[]
---@param keyword string  in lower case
---@return string[][]
function arguments.given(options, keyword)
  local found = {}
  for _, text in ipairs(options) do
    local name, rest = words.keyword(text)
    found[#found + 1] = name == keyword and words.split(rest) or nil
  end
  return found
end

return arguments
