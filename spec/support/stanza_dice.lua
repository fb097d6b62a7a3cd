-- SPDX-License-Identifier: MIT
-- Values by chance through the writer of ssh_config, and back through `ssh -G`: what OpenSSH reads
-- is what was meant, or the writer had refused it.
local core = require "arclua.core"
local export = require "arclua.openssh.export"
local ssh_g = require "ssh_g"

local dice = {}

-- Pieces that mean something to somebody: to ssh_config, to its tokens, to a shell, to terminals.
local PIECES = { "a", "Z", "7", ".", "-", "_", "/", "~", " ", "  ", "\t", "\n", "\r", "\0",
  "\27[2J", '"', "'", "\\", '\\"', "\\\\", "\\ ", "%", "%%", "%h", "%d", "$", "${HOME}", "${",
  "$(id)", "`id`", "*", "?", "!", "#", ",", "=", ";", "&", "|", "<", ">", "(", ")", "[", "]", "{",
  "}", "@", ":", "+", "\195\164", "\240\159\166\134", "\255", "Host x", "none", "yes" }

local function text(most)
  local out = {}
  for i = 1, math.random(most) do
    out[i] = PIECES[math.random(#PIECES)]
  end
  return table.concat(out)
end

local function machine()
  return { name = "m" .. text(4), resource_group = text(3),
    subscription = ("a5c1e000-0000-4000-8000-%012x"):format(math.random(0, 1 << 40)),
    type = "Microsoft.HybridCompute/machines" }
end

local function options()
  local opts = { cloud = "public", user = text(4), identity = {},
    proxy = { "/" .. text(5), text(3) },
    port = math.random(3) == 1 and math.random(65535) or nil }
  for i = 1, math.random(0, 2) do
    opts.identity[i] = ("/%d%s"):format(i, text(6)) -- ssh takes a file once
  end
  return opts
end

-- The words that a shell makes of a ProxyCommand, after ssh's own replacement of %%.
local function words_of(command)
  local process <close> = assert(core.process.spawn { args = { "sh", "-c", "for word in "
    .. command:gsub("%%%%", "%%") .. "; do printf '%s\\0' \"$word\"; done" } })
  local stream, out = process:stdout(), ""
  for chunk in function() return stream:read() end do
    out = out .. chunk
  end
  stream:close()
  local words = {}
  for word in out:gmatch "(%Z*)%z" do
    words[#words + 1] = word
  end
  return words
end

local function same(what, expected, got)
  if expected ~= got then
    error(("%s: %q meant, %q read"):format(what, tostring(expected), tostring(got)), 0)
  end
end

local function compare(it, opts, found, text_)
  local ok, why = pcall(function()
    same("User", opts.user, found.user[1])
    for i, path in ipairs(opts.identity) do
      same("IdentityFile", path, (found.identityfile[i] or ""):gsub("%%%%", "%%"))
    end
    same("HostName", it.full, found.hostname[1])
    same("HostKeyAlias", it.full, found.hostkeyalias[1])
    local words = words_of(found.proxycommand[1])
    local meant = { opts.proxy[1], opts.proxy[2], "proxy" }
    if opts.port then
      table.move({ "--port", tostring(opts.port) }, 1, 2, 4, meant)
    end
    meant[#meant + 1] = it.full
    same("number of words", #meant, #words)
    for i, word in ipairs(meant) do
      same("word " .. i, word, words[i])
    end
  end)
  if not ok then
    error(why .. "\n" .. text_, 0)
  end
end

-- Values that the writer may refuse: with a line's end, or with what cannot be said.
local function may_refuse(opts)
  local all = opts.user .. "\1" .. table.concat(opts.proxy, "\1")
  for _, path in ipairs(opts.identity) do
    if path:find "[%c\127]" or path:find "${" then
      return true
    end
  end
  return opts.user:find "%%" or all:gsub("\1", ""):find "[%c\127]" or opts.user:find "${"
end

--- One throw: whether something was written (and read back). Raises: where the two differ.
---@param path string  a file to use
---@return boolean
function dice.throw(path)
  local it, opts = machine(), options()
  local written, why = export.machines({ it }, opts)
  if not written then
    if not may_refuse(opts) then
      error("refused without need: " .. tostring(why), 0)
    end
    return false
  end
  it.full = require("arclua.alias").of(it, opts.cloud)
  assert(core.sys.write_file(path, written))
  local found, said = ssh_g(path, it.full)
  if not found then
    error(("ssh refuses it: %s\n%s"):format(said, written), 0)
  end
  compare(it, opts, found, written)
  return true
end

return dice
