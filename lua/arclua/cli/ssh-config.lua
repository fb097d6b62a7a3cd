-- SPDX-License-Identifier: MIT
-- arclua ssh-config [SELECT]: OpenSSH's configuration for machines.
local block = require "arclua.openssh.block"
local cert = require "arclua.cli.cert"
local command = require "arclua.cli.command"
local convert = require "arclua.convert"
local core = require "arclua.core"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local export = require "arclua.openssh.export"
local include = require "arclua.openssh.include"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local quote = require "arclua.quote"
local select_ = require "arclua.select"
local settings = require "arclua.settings"
local static = require "arclua.openssh.static"

local NOT_REACHED = 4

local ssh_config = { name = "ssh-config", summary = "OpenSSH's configuration for machines" }

local NO_SELECTOR = [[
no machines selected: name some, select them, or say --all. For example:
  arclua ssh-config web-01 web-02
  arclua ssh-config --all --user ops --file ~/.ssh/arc
  arclua ssh-config --wildcard --file ~/.ssh/arc]]

local function setting(name, key)
  return convert.option(name, settings.KEYS[key])
end

local function parser()
  local it = options.parser("arclua ssh-config", "Writes stanzas for ssh_config, with which ssh, "
    .. "scp, sftp, rsync, git, Ansible and editors reach machines. They fetch fresh credentials "
    .. "for each connection and never expire.",
    "arclua ssh-config [SELECT] [options] [NAME...] | --wildcard [options]")
  options.add_select(it)
  it:group("What to write",
    it:flag("--wildcard", "One stanza for every machine: ssh NAME.RG.SUBSCRIPTION.arc."),
    it:option("--host", "Short names of machines ({rg}-{name}): also {sub}."):argname "TEMPLATE",
    it:option("-l --user -u", "User to log in as (ARCLUA_USER)."):argname "USER"
      :convert(setting("--user", "user")),
    it:option("-i --identity", "Private key file (ARCLUA_IDENTITY)."):argname "FILE":count "*",
    it:flag("--entra", "With a certificate of Entra's, renewed when ssh is called (needs --file)."),
    it:option("--port", "SSH port (default: the configured one)."):argname "N"
      :convert(convert.option("--port", convert.integer(1, 65535))),
    it:option("--host-key-policy", "StrictHostKeyChecking: accept-new, yes or no.")
      :argname "POLICY":convert(setting("--host-key-policy", "host_key_policy")))
  it:group("Where to",
    it:flag("--static", "With relay credentials in files beside --file: good for three hours."),
    it:option("--file -f", "Into this file, in place of what an earlier run wrote (default: to "
      .. "standard output)."):argname "FILE",
    it:flag("--include", "With --file: let ~/.ssh/config include it."))
  return it
end

-- The files of Entra's certificate, beside the configuration: into opts; true | nil, err.
local function add_entra(opts, values)
  local file = command.absolute(values.file) .. "-entra-cert.pub"
  local told, err = cert.make { file = file, renew = true }
  if not told then
    return nil, err
  end
  local renew = table.move(opts.proxy, 1, #opts.proxy, 1, {})
  table.move({ "cert", "--renew", "--file", file }, 1, 4, #renew + 1, renew)
  opts.user = told.user
  opts.entra = { renew = renew, key = told.key, certificate = file }
  return true
end

-- Private keys as absolute paths; one with Entra's certificate uses no other.
local function identities(given, values)
  local out = {}
  for i, path in ipairs(type(given) == "string" and { given } or given or {}) do
    out[i] = command.absolute(path)
  end
  return not values.entra and out or nil
end

-- The options, else what the settings say: export options | nil, err.
local function login(values, merged, cloud)
  local given = { user = values.user, known_hosts = merged.known_hosts,
    identity = values.identity[1] and values.identity, host_key_policy = values.host_key_policy }
  local opts, err = settings.fill(given, { "user", "identity", "known_hosts", "host_key_policy" })
  if not opts then
    return nil, err
  end
  local out = { user = opts.user, identity = identities(opts.identity, values),
    host_key_policy = opts.host_key_policy, port = values.port, host = values.host,
    known_hosts = opts.known_hosts and command.absolute(opts.known_hosts), cloud = cloud,
    proxy = command.program(merged) }
  local ok = true
  if values.entra then
    ok, err = add_entra(out, values)
  end
  return ok and out or nil, err
end

local function say(text)
  output.standard(2):line(escape.text(text, true))
end

-- How to use the file, or the line that makes it be used.
local function offer(path, values)
  local done, err = include.ensure(path, values.include or function(line)
    return command.ask(("Put '%s' at the top of ~/.ssh/config? [y/N] "):format(
      escape.text(line, true)))
  end)
  if done == nil then
    return command.fail(err)
  elseif done == "added" then
    say("~/.ssh/config includes it now")
  elseif not done then
    say(("to use it: ssh -F %s HOST; or put this at the top of ~/.ssh/config: %s"):format(
      quote.sh(path), include.line(path)))
  end
  return 0
end

local function deliver(text, values, what)
  if not values.file then
    output.standard(1):write(text)
    return 0
  end
  local path = command.absolute(values.file)
  local ok, err = block.save(path, text)
  if not ok then
    return command.fail(errors.with(err, { message = "option '--file': " .. err.message }))
  end
  say(("%s in %s"):format(what, path))
  return offer(path, values)
end

local function wildcard(values, merged)
  local opts, err = login(values, merged)
  local text
  if opts then
    text, err = export.wildcard(opts)
  end
  if not text then
    return command.fail(err)
  end
  return deliver(text, values, "one stanza for all machines")
end

-- Credentials in files beside the configuration: into opts; the machines that have them | nil, err.
local function add_static(list, opts, values)
  local dir = command.absolute(values.file) .. ".relay-info"
  local written, failed, expires = static.write(list, dir, { port = values.port })
  if not written then
    return nil, failed
  end
  local kept = {}
  for _, machine in ipairs(list) do
    if written[machine] then
      kept[#kept + 1] = machine
    else
      say(("%s is left out: %s"):format(machine.name, failed[machine].message))
    end
  end
  opts.command = function(machine)
    local words = table.move(opts.proxy, 1, #opts.proxy, 1, {})
    return table.move({ "proxy", "--relay-info", written[machine].file, "--port",
      ("%d"):format(written[machine].port), machine.name }, 1, 6, #words + 1, words)
  end
  if #kept > 0 then
    say(("the relay credentials in %s are good until %s"):format(dir,
      core.sys.utc(math.floor(expires))))
  end
  return kept
end

-- The text for a list, and those that are in it | nil, err.
local function stanzas(list, values, merged)
  local opts, err = login(values, merged, list[1].azure.cloud.name)
  if opts and values.static then
    list, err = add_static(list, opts, values)
  end
  if not (opts and list) then
    return nil, err
  end
  local text, left_out = export.machines(list, opts)
  if text and left_out > 0 then
    say(("%d of them by their full name alone: a short one would be ambiguous"):format(left_out))
  end
  return text, text and list or left_out
end

local function machines(values, merged)
  local list, status = command.machines(values)
  if not list then
    return status
  elseif #list == 0 then
    return command.nothing_selected()
  end
  local text, kept = stanzas(list, values, merged)
  if not text then
    return command.fail(kept)
  end
  status = deliver(text, values, #kept == 1 and "1 machine" or #kept .. " machines")
  return status == 0 and #kept < #list and NOT_REACHED or status
end

-- What is wrong with what is selected; nil when nothing is.
local function wrong_selection(values)
  local selects = select_.is_given(values)
  if values.wildcard and (selects or values.host or values.static) then
    return "option '--wildcard' is about all machines: without a selection, --host or --static"
  elseif not values.wildcard and not selects then
    return NO_SELECTOR
  end
  local ok, err = true, nil
  if values.host then
    ok, err = export.check_host(values.host)
  end
  return not ok and "option '--host': " .. err.message or nil
end

-- What is wrong with the other options together.
local function contradiction(values)
  for _, name in ipairs { "include", "entra", "static" } do
    if values[name] and not values.file then
      return ("option '--%s' needs --file"):format(name)
    end
  end
  if values.entra and (values.user or values.identity[1]) then
    return "option '--entra' has its own user and key: without --user and --identity"
  end
end

function ssh_config.run(argv, base)
  local values, merged = command.parse(parser(), "ssh-config", argv, base)
  if not values then
    return merged
  end
  local wrong = wrong_selection(values) or contradiction(values)
  if wrong then
    return command.usage("ssh-config", wrong)
  end
  return (values.wildcard and wildcard or machines)(values, merged)
end

ssh_config.parser = parser -- for completion

return ssh_config
