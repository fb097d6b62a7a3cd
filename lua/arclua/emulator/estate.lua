-- SPDX-License-Identifier: MIT
-- Many machines by seed: the first ones alike and connected, those behind them mixed as a real
-- estate is.
local core = require "arclua.core"

local estate = {}

-- Those up to here are alike, so that a laboratory of any usual size is all reachable.
local ALIKE = 1000
local DAY = 86400

-- The pattern that machines are made by, over and over.
local PATTERN = {
  { role = "web", env = "prod", group = "rg-prod" },
  { role = "web", env = "prod", group = "rg-prod" },
  { role = "db", env = "prod", group = "rg-prod" },
  { role = "web", env = "edge", group = "rg-edge" },
  { role = "web", env = "test", group = "rg-test" },
}

-- Operating systems as the agent reports them.
estate.SYSTEMS = {
  debian = { os = "linux", name = "debian", version = "12",
    sku = "Debian GNU/Linux 12 (bookworm)" },
  jammy = { os = "linux", name = "ubuntu", version = "22.04", sku = "Ubuntu 22.04.5 LTS" },
  noble = { os = "linux", name = "ubuntu", version = "24.04", sku = "Ubuntu 24.04.1 LTS" },
  rhel8 = { os = "linux", name = "rhel", version = "8.10",
    sku = "Red Hat Enterprise Linux 8.10 (Ootpa)" },
  rhel9 = { os = "linux", name = "rhel", version = "9.4",
    sku = "Red Hat Enterprise Linux 9.4 (Plow)" },
  sles = { os = "linux", name = "sles", version = "15-SP6",
    sku = "SUSE Linux Enterprise Server 15 SP6" },
  win2016 = { os = "windows", name = "windows", version = "10.0.14393.7428",
    sku = "Windows Server 2016 Standard" },
  win2019 = { os = "windows", name = "windows", version = "10.0.17763.6532",
    sku = "Windows Server 2019 Standard" },
  win2022 = { os = "windows", name = "windows", version = "10.0.20348.2700",
    sku = "Windows Server 2022 Datacenter" },
  win2025 = { os = "windows", name = "windows", version = "10.0.26100.2033",
    sku = "Windows Server 2025 Datacenter" },
}
estate.DEFAULT = { linux = "debian", windows = "win2022" }

-- What a choice is made from: { weight, value }.
local ROLES = { { 30, "web" }, { 20, "db" }, { 20, "app" }, { 10, "cache" }, { 10, "file" },
  { 7, "batch" }, { 3, "dc" } }
local ENVS = { { 55, "prod" }, { 20, "edge" }, { 20, "test" }, { 5, "lab" } }
local SITES = { { 30, { "ams1", "westeurope" } }, { 20, { "dub2", "northeurope" } },
  { 15, { "fra1", "germanywestcentral" } }, { 15, { "nyc3", "eastus" } },
  { 10, { "sea1", "westus2" } }, { 10, { "sin1", "southeastasia" } } }
local SYSTEMS = { { 22, "noble" }, { 16, "jammy" }, { 12, "debian" }, { 10, "rhel9" },
  { 4, "rhel8" }, { 3, "sles" }, { 16, "win2022" }, { 9, "win2019" }, { 5, "win2025" },
  { 3, "win2016" } }
local STATUSES = { { 88, { "Connected", 300 } }, { 7, { "Disconnected", 20 * DAY } },
  { 4, { "Expired", 200 * DAY } }, { 1, { "Error", 2 * DAY } } }
local AGENTS = { { 55, "1.66.03412.2214" }, { 16, "1.60.03293.2680" }, { 11, "1.52.02994.2001" },
  { 7, "1.46.02809.1841" }, { 5, "1.40.02664.1629" }, { 3, "1.35.02499.1543" },
  { 3, "1.29.02270.1291" } }
local KINDS = { { 80, false }, { 8, "VMware" }, { 3, "SCVMM" }, { 4, "HCI" }, { 1, "AVS" },
  { 2, "AWS" }, { 2, "GCP" } }
local OWNERS = { { 1, "platform" }, { 1, "payments" }, { 1, "search" }, { 1, "O'Neill & Sons" } }
-- First generation of the private clouds: resources of their own types.
local OLD_TYPES = { "Microsoft.ConnectedVMwarevSphere/virtualMachines",
  "Microsoft.ScVmm/virtualMachines", "Microsoft.AzureStackHCI/virtualMachines" }

-- Numbers of one machine: the same for a seed, whatever the others are.
local Dice = {}
Dice.__index = Dice

local function dice(seed, i)
  return setmetatable({ bytes = core.crypto.sha256(seed .. " " .. i), at = 1 }, Dice)
end

-- 0 .. below - 1. A machine takes at most 16.
function Dice:roll(below)
  local number
  number, self.at = string.unpack("<I2", self.bytes, self.at)
  return number * below // 65536
end

function Dice:percent(chance)
  return self:roll(100) < chance
end

function Dice:pick(list)
  local total = 0
  for _, entry in ipairs(list) do
    total = total + entry[1]
  end
  local left = self:roll(total)
  for _, entry in ipairs(list) do
    left = left - entry[1]
    if left < 0 then
      return entry[2]
    end
  end
end

local function extension(publisher, kind, version, state, name)
  return { name = name or kind, publisher = publisher, type = kind, version = version,
    state = state or "Succeeded" }
end

local function extensions_of(roll, os)
  local list = {}
  local state = roll:percent(4) and "Failed" or "Succeeded"
  if os == "linux" and roll:percent(50) then -- the portal and the command line name it differently
    list[1] = extension("Microsoft.Azure.ActiveDirectory", "AADSSHLoginForLinux", "1.0.3069.1",
      state, roll:percent(30) and "AADSSHLogin" or nil)
  elseif os == "windows" and roll:percent(40) then
    list[1] = extension("Microsoft.Azure.OpenSSH", "WindowsOpenSSH", "3.0.4.0", state)
  end
  if roll:percent(60) then
    list[#list + 1] = extension("Microsoft.Azure.Monitor", os == "linux"
      and "AzureMonitorLinuxAgent" or "AzureMonitorWindowsAgent", "1.33.1")
  end
  return list
end

local function tags_of(roll, role, env, site)
  local tags = { role = role, env = env, site = site, owner = roll:pick(OWNERS) }
  if roll:percent(30) then
    tags["Cost Center"] = "4711"
  end
  return roll:percent(97) and tags or {}
end

local function mixed(seed, i)
  local roll = dice(seed, i)
  local role, env, site = roll:pick(ROLES), roll:pick(ENVS), roll:pick(SITES)
  local system, status = roll:pick(SYSTEMS), roll:pick(STATUSES)
  local spec = { role = role, system = system, os = estate.SYSTEMS[system].os,
    group = env == "lab" and "rg (lab).v1" or ("rg-%s-%s"):format(env, site[1]),
    location = site[2], site = site[1], status = status[1], age = roll:roll(status[2]),
    agent_version = roll:pick(AGENTS), kind = roll:pick(KINDS) or nil,
    tags = tags_of(roll, role, env, site[1]), monitor = roll:percent(1) }
  if i % 200 == 0 then
    spec.type, spec.kind, spec.role = OLD_TYPES[i // 200 % #OLD_TYPES + 1], nil, "vm"
  end
  spec.extensions = extensions_of(roll, spec.os)
  return spec
end

local function alike(i)
  local kind = PATTERN[(i - 1) % #PATTERN + 1]
  return { role = kind.role, group = kind.group, tags = { role = kind.role, env = kind.env } }
end

--- What state.add_machine takes, for count machines and so many Windows-like ones behind them.
---@param count integer
---@param opts { subscriptions: integer, windows: integer, alike: integer?, seed: integer? }
---@return table[]
function estate.specs(count, opts)
  local specs, numbers = {}, {}
  for i = 1, count do
    local spec = i <= (opts.alike or ALIKE) and alike(i) or mixed(opts.seed or 1, i)
    numbers[spec.role] = (numbers[spec.role] or 0) + 1
    spec.name = ("%s-%02d"):format(spec.role, numbers[spec.role])
    spec.subscription = (i - 1) // #PATTERN % opts.subscriptions + 1
    if spec.system and i % 100 == 50 and specs[i - 1].group ~= spec.group then
      spec.name = specs[i - 1].name -- in another group: names need not be unique
    end
    specs[i] = spec
  end
  for i = 1, opts.windows do
    specs[count + i] = { name = ("win-%02d"):format(i), group = "rg-win", os = "windows",
      subscription = (i - 1) % opts.subscriptions + 1, tags = { role = "win", env = "prod" } }
  end
  return specs
end

return estate
