-- SPDX-License-Identifier: MIT
-- What the doctor may mend by itself: providers, endpoints with their configuration, the extension;
-- each kind after consent. Mended machines are examined again.
local nodeset = require "arclua.report.nodeset"
local setup = require "arclua.setup"

local fix = {}

---@class arclua.Change
---@field text string          what was done, or was to be done
---@field machine arclua.Machine?
---@field err arclua.Error?    why it failed

local function plural(list)
  local names = {}
  for i, it in ipairs(list) do
    names[i] = it.machine.name
  end
  return ("on %d machine%s (%s)"):format(#list, #list == 1 and "" or "s", nodeset.fold(names))
end

local KINDS = {
  { name = "provider", text = function(list)
    local seen, ids = {}, {}
    for _, it in ipairs(list) do
      local id = it.machine.subscription
      ids[#ids + 1] = not seen[id] and id or nil
      seen[id] = true
    end
    return "register Microsoft.HybridConnectivity in subscription " .. table.concat(ids, ", ")
  end, options = { provider_only = true } },
  { name = "setup", text = function(list)
    return "create the connectivity endpoint and the SSH service configuration " .. plural(list)
  end, options = {} },
  { name = "extension", text = function(list)
    return "install the extension AADSSHLoginForLinux " .. plural(list)
  end, options = { entra = true, ssh = false } },
}

-- The patients with a defect of this kind.
local function affected(results, kind)
  local out = {}
  for i, it in ipairs(results) do
    for _, finding in ipairs(it.findings) do
      if finding.fix == kind then
        out[#out + 1] = { it = it, machine = it.machine, at = i }
        break
      end
    end
  end
  return out
end

local function machines_of(list)
  local out = {}
  for i, one in ipairs(list) do
    out[i] = one.machine
  end
  return out
end

local function note(changes, records)
  for _, record in ipairs(records) do
    for _, text in ipairs(record.changes) do
      changes[#changes + 1] = { text = text, machine = record.machine }
    end
    if record.err then
      changes[#changes + 1] = { machine = record.machine, err = record.err,
        text = record.err.message }
    end
  end
end

--- Mends kind after kind; results of mended machines are replaced. Also gives why it ended early.
---@param spec { run: table, results: arclua.Patient[], consent: function?, examine: function }
---@return arclua.Change[], string? why
function fix.run(spec)
  local changes = {}
  for _, kind in ipairs(KINDS) do
    local list = affected(spec.results, kind.name)
    if #list > 0 and spec.consent and spec.consent(kind.text(list)) then
      local machines = machines_of(list)
      local options = { wait = false, parallel = spec.run.parallel, on_wait = spec.run.on_wait }
      for name, value in pairs(kind.options) do
        options[name] = value
      end
      local report, err = setup.enable(spec.run.azure, machines, options)
      if not report then
        changes[#changes + 1] = { text = err.message, err = err }
        break
      end
      note(changes, report.results)
      local again, why = {}, report.why
      if not why then
        again, why = spec.examine(machines)
      end
      if why then -- what was found before stands
        return changes, why
      end
      for i, it in ipairs(again) do
        spec.results[list[i].at] = it
      end
    end
  end
  return changes
end

return fix
