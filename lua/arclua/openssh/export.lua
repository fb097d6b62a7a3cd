-- SPDX-License-Identifier: MIT
-- ssh_config for machines: stanzas whose ProxyCommand fetches fresh credentials, so that they
-- never expire.
local alias = require "arclua.alias"
local errors = require "arclua.errors"
local stanza = require "arclua.openssh.stanza"

local export = {}

export.HOST = "{rg}-{name}"

local FIELDS = { name = "name", rg = "resource_group", sub = "subscription" }

---@class arclua.ExportOptions
---@field proxy string[]           the program and its global options: { "/usr/bin/arclua", ... }
---@field host string?             the short name of a machine: text with {name}, {rg} and {sub};
---   default "{rg}-{name}"
---@field cloud string             name of the cloud, as aliases have it
---@field user string?
---@field identity string[]?       absolute paths of private keys
---@field port integer?            instead of the configured one
---@field known_hosts string?      absolute path
---@field host_key_policy string?  "accept-new", "yes", "no"
---@field command (fun(machine): string[])?  instead of `PROXY proxy ALIAS`: words of the command
---@field entra { renew: string[], key: string, certificate: string }?  files of a certificate of
---   Entra's, and the words of the command that renews it; user is the one it names

--- Whether a template names only what there is. Errors: config.
---@return true|nil, arclua.Error?
function export.check_host(template)
  for field in template:gmatch "{([^}]*)}" do
    if not FIELDS[field] then
      return errors.fail { code = "config", op = "ssh_config",
        message = ("'{%s}' in '%s': {name}, {rg} or {sub} expected"):format(field, template) }
    end
  end
  if not template:find "{name}" then
    return errors.fail { code = "config", op = "ssh_config",
      message = ("'%s': {name} expected in it, else all machines have one name"):format(template) }
  end
  return true
end

local function short_name(machine, template)
  return (template:gsub("{(%w+)}", function(field)
    return machine[FIELDS[field]]
  end))
end

-- Short names by machine; those that two have, or that Host would take for a pattern, are none.
local function short_names(machines, template)
  local names, count = {}, {}
  for _, machine in ipairs(machines) do
    local name = short_name(machine, template)
    names[machine] = name
    count[name:lower()] = (count[name:lower()] or 0) + 1
  end
  local left_out = 0
  for machine, name in pairs(names) do
    if count[name:lower()] > 1 or not stanza.is_host(name) then
      names[machine] = nil
      left_out = left_out + 1
    end
  end
  return names, left_out
end

-- Adds what make(...) gives: true | nil, err.
local function add(lines, make, ...)
  local line, err = make(...)
  lines[#lines + 1] = line
  return line ~= nil, err
end

-- Adds the lines of a list of { make, ... }: true | nil, err.
local function add_all(lines, list)
  for _, one in ipairs(list) do
    local ok, err = add(lines, table.unpack(one))
    if not ok then
      return nil, err
    end
  end
  return true
end

-- Who logs in, with what: the same in all stanzas. Entra's certificate has a stanza of its own.
local function add_login(lines, opts)
  local list = {}
  if opts.user and not opts.entra then
    list[1] = { stanza.user, opts.user }
  end
  for _, path in ipairs(opts.identity or {}) do
    list[#list + 1] = { stanza.path, "IdentityFile", path }
  end
  if opts.known_hosts then
    list[#list + 1] = { stanza.path, "UserKnownHostsFile", opts.known_hosts }
  end
  if opts.host_key_policy then
    list[#list + 1] = { stanza.plain, "StrictHostKeyChecking", opts.host_key_policy }
  end
  return add_all(lines, list)
end

-- For these hosts the certificate is renewed before ssh reads it; "" without one.
local function entra_stanza(hosts, opts)
  local entra, lines = opts.entra, {}
  if not entra then
    return ""
  end
  local ok, err = add_all(lines, {
    { stanza.match_exec, hosts, entra.renew },
    { stanza.user, opts.user },
    { stanza.path, "IdentityFile", entra.key },
    { stanza.path, "CertificateFile", entra.certificate },
    { stanza.plain, "IdentitiesOnly", "yes" },
  })
  return ok and stanza.block(lines) .. "\n" or nil, err
end

-- The command of a stanza: the program with where it goes, and a port.
local function proxy_words(opts, target)
  local words = table.move(opts.proxy, 1, #opts.proxy, 1, {})
  words[#words + 1] = "proxy"
  if opts.port then
    words[#words + 1] = "--port"
    words[#words + 1] = ("%d"):format(opts.port)
  end
  words[#words + 1] = target
  return words
end

local function machine_stanza(machine, short, opts)
  local full = alias.of(machine, opts.cloud)
  local lines = { ("Host %s"):format(short and short .. " " .. full or full),
    "HostName " .. full, "HostKeyAlias " .. full }
  local ok, err = add_login(lines, opts)
  if ok then
    ok, err = add(lines, stanza.command, "ProxyCommand",
      opts.command and opts.command(machine) or proxy_words(opts, full))
  end
  return ok and stanza.block(lines) or nil, err
end

--- A stanza for each machine, under its short name and its alias: the text, and how many go by
--- their alias alone, since two have the same short name or OpenSSH would read it as a pattern.
--- Errors: config (a value that ssh_config cannot say).
---@param machines arclua.MachineData[]
---@param opts arclua.ExportOptions
---@return string|nil text, integer|arclua.Error left_out
function export.machines(machines, opts)
  local names, left_out = short_names(machines, opts.host or export.HOST)
  local hosts, out = {}, {}
  for i, machine in ipairs(machines) do
    hosts[#hosts + 1] = names[machine]
    hosts[#hosts + 1] = alias.of(machine, opts.cloud)
    local text, err = machine_stanza(machine, names[machine], opts)
    if not text then
      return nil, err
    end
    out[i] = text
  end
  local entra, err = entra_stanza(hosts, opts)
  if not entra then
    return nil, err
  end
  return entra .. table.concat(out, "\n"), left_out
end

--- One stanza for every machine that there is or will be, under its alias. Errors: config.
---@param opts arclua.ExportOptions
---@return string|nil text, arclua.Error?
function export.wildcard(opts)
  local lines = { "Host *.arc" }
  local entra, err = entra_stanza({ "*.arc" }, opts)
  local ok = entra ~= nil
  if ok then
    ok, err = add_login(lines, opts)
  end
  if ok then
    ok, err = add(lines, stanza.command, "ProxyCommand", proxy_words(opts, { token = "%h" }))
  end
  return ok and entra .. stanza.block(lines) or nil, err
end

return export
