-- SPDX-License-Identifier: MIT
-- What OpenSSH's client configuration says of a host: the keywords that matter here.
local core = require "arclua.core"
local errors = require "arclua.errors"
local keywords = require "arclua.openssh.keywords"
local parse = require "arclua.openssh.parse"
local tokens = require "arclua.openssh.tokens"
local words = require "arclua.openssh.words"

local Config = {}
Config.__index = Config

local config = {}

local SYSTEM = "/etc/ssh"

local function refuse(line, why)
  return errors.fail { code = "config", op = "ssh_config",
    message = ("%s: %s"):format(line.where, why) }
end

--- Reads ~/.ssh/config and /etc/ssh/ssh_config, or the given file alone; "none" reads nothing.
--- Errors: config.
---@param path string?
---@param log fun(level: string, text: string)?
---@param options string[]?  "Keyword=value" each, which come first: ssh's -o
---@return arclua.SshConfig|nil, arclua.Error?
function config.load(path, log, options)
  local first, why = parse.options(options or {})
  if not first then
    return nil, why
  end
  local self = setmetatable({ lists = { first }, found = {}, log = log or function() end,
    told = {} }, Config)
  local user = core.sys.home() .. "/.ssh"
  local sources = { { user .. "/config", { base = user, optional = true, guarded = true } },
    { SYSTEM .. "/ssh_config", { base = SYSTEM, optional = true } } }
  if path == "none" then
    sources = {}
  elseif path then
    sources = { { path, { base = user } } }
  end
  for _, source in ipairs(sources) do
    local list, err = parse.file(source[1], source[2])
    if not list then
      return nil, err
    end
    self.lists[#self.lists + 1] = list
  end
  return self
end

-- ---- Host and Match ------------------------------------------------------------------------

local function has_literal(pattern)
  return pattern:find "[^*?.]" ~= nil
end

-- What a criterion of Match with an argument is compared with.
local SUBJECTS = {
  host = function(look)
    return look.values.hostname and tokens.hostname(look.values.hostname, look.host) or look.host
  end,
  originalhost = function(look) return look.host end,
  user = function(look) return look.user or look.values.user or core.sys.user() end,
  localuser = function() return core.sys.user() end,
}

-- Those without one; we look once, and resolve no names.
local FLAGS = { all = true, canonical = false, final = false }

-- One criterion from words[i] on: whether it holds, the next index | nil, why.
local function criterion(look, list, i)
  local negated, name = list[i]:match "^(!?)(.*)$"
  local value
  if name:find "=" then
    name, value = name:match "^([^=]*)=(.*)$"
  end
  name = name:lower()
  local holds = FLAGS[name]
  if holds == nil then
    if not value then
      i = i + 1
      value = list[i]
    end
    if not value then
      return nil, ("Match %s needs an argument"):format(name)
    end
    local subject = SUBJECTS[name]
    if not subject then
      return "unknown", name
    end
    holds = words.match_list(subject(look), value)
  end
  if negated ~= "" then
    holds = not holds
  end
  return holds, i + 1
end

-- Whether a Match line's lines count: boolean | nil, err.
local function matches(self, look, line)
  local list, i, result = line.words, 1, true
  if #list == 0 then
    return refuse(line, "Match needs criteria")
  end
  while list[i] do
    local holds, following = criterion(look, list, i)
    if holds == nil then
      return refuse(line, following)
    elseif holds == "unknown" then
      if result and not self.told[line] then
        self.told[line] = true
        self.log("info", ("%s: 'Match %s' is not evaluated, its lines are left out"):format(
          line.where, following))
      end
      return false
    end
    result, i = result and holds, following
  end
  return result and not look.own
end

-- Whether the lines after a Host line count.
local function is_host(look, line)
  local pattern = words.match_any(look.host, line.patterns)
  if not pattern or not look.own then
    return pattern ~= nil
  end
  return has_literal(pattern) and not (look.apart and words.match(look.apart, pattern))
end

-- ---- lines ---------------------------------------------------------------------------------

-- Of ProxyJump and ProxyCommand the first decides.
local RIVALS = { proxyjump = "proxycommand", proxycommand = "proxyjump" }

local function store(look, line)
  local known = keywords.KNOWN[line.keyword]
  if not known then
    return true
  elseif not line.words[1] then
    return refuse(line, ("%s needs a value"):format(line.keyword))
  end
  local value, expected = known.read(line.words, line)
  if value == nil then
    return refuse(line, ("%s: %s expected, got '%s'"):format(line.keyword, expected,
      line.words[1]))
  end
  local values = look.values
  if known.many then
    local list = values[line.keyword] or { seen = {} }
    values[line.keyword] = list
    if not list.seen[value] then
      list.seen[value] = true
      list[#list + 1] = value
    end
  elseif values[line.keyword] == nil and values[RIVALS[line.keyword] or ""] == nil then
    values[line.keyword] = value
    look.where[line.keyword] = line.where
  end
  return true
end

-- Walks a list; what holds within an included file ends with it.
local function walk(self, look, list, active)
  for _, line in ipairs(list) do
    local ok, err = true, nil
    if line.keyword == "host" then
      active = is_host(look, line)
    elseif line.keyword == "match" then
      active, err = matches(self, look, line)
      ok = active ~= nil
    elseif not active then
      ok = true
    elseif line.keyword == "include" then
      for _, file in ipairs(line.files) do
        ok, err = walk(self, look, file, active)
        if not ok then
          return nil, err
        end
      end
    else
      ok, err = store(look, line)
    end
    if not ok then
      return nil, err
    end
  end
  return true
end

local function key_of(host, opts)
  return ("%s\0%s\0%s\0%s\0%s"):format(host, opts.user or "", opts.own and 1 or 0,
    opts.apart or "", opts.hop and 1 or 0)
end

---@class arclua.SshHost  values by keyword in lower case; lists of several (identityfile ...)
---@field where table<string, string>  FILE:LINE by keyword

--- What the configuration says of a host as it was typed. user: the login that is settled
--- already. own: only what stands below a Host line that is about this name and not about all;
--- apart: nor about this other name. hop: it is a jump host, which ssh's -o says nothing of.
--- Asked once a host. Errors: config, naming file and line.
---@param host string
---@param opts { user: string?, own: boolean?, apart: string?, hop: boolean? }?
---@return arclua.SshHost|nil, arclua.Error?
function Config:of(host, opts)
  opts = opts or {}
  local key = key_of(host, opts)
  if self.found[key] then
    return self.found[key]
  end
  local look = { host = host, user = opts.user, own = opts.own,
    apart = opts.apart, values = {}, where = {} }
  for _, list in ipairs(self.lists) do
    local ok, err = true, nil
    if not (list.always and opts.hop) then
      ok, err = walk(self, look, list, list.always or not opts.own)
    end
    if not ok then
      return nil, err
    end
  end
  look.values.where = look.where
  self.found[key] = look.values
  return look.values
end

return config
