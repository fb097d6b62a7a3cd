-- SPDX-License-Identifier: MIT
-- The way to the hosts that are used: names, proxy, TLS; and the clock, by what they say the time
-- is. Once a run; a relay's host is known when the first machine's credentials are.
local errors = require "arclua.errors"
local times = require "arclua.times"

local Hosts = {}
Hosts.__index = Hosts

local TIMEOUT = 20
local WRONG, DOUBTFUL = 300, 60 -- seconds that the clock may be off
local SET_CLOCK = "set this computer's clock: sudo timedatectl set-ntp true"

---@return table
local function new(core, cloud)
  return setmetatable({ core = core, cloud = cloud, findings = {}, seen = {} }, Hosts)
end

function Hosts:add(finding)
  self.findings[#self.findings + 1] = finding
end

--- A host was reached. Told once.
function Hosts:reached(host, check)
  if not self.seen[host] then
    self.seen[host] = true
    self:add { check = check or "relay-host", state = "ok",
      message = ("%s can be reached"):format(host) }
  end
end

--- A host was not reached. Told once.
function Hosts:failed(host, err, check)
  if self.seen[host] ~= "failed" then
    self.seen[host] = "failed"
    self:add { check = check or "relay-host", state = "failed", remedy = err.remedy,
      message = ("%s cannot be reached: %s"):format(host, err.message) }
  end
end

local function host_of(url)
  return url:match "^%a+://([^/]+)" or url
end

local function judge_clock(self, off)
  local size, way = math.abs(off), off > 0 and "behind" or "ahead"
  local message = ("this computer's clock is %.0f s %s of Azure's"):format(size, way)
  if size > WRONG then
    self:add { check = "clock", state = "failed", message = message, remedy = SET_CLOCK }
  elseif size > DOUBTFUL then
    self:add { check = "clock", state = "warning", message = message, remedy = SET_CLOCK }
  else
    self:add { check = "clock", state = "ok", message = "this computer's clock is right" }
  end
end

-- Any answer will do: it came by TLS, and through the proxy where there is one.
local function ask(self, check, url)
  local began = self.core.time()
  local answer, err = self.core.http.request { url = url, ca = self.cloud.ca, timeout = TIMEOUT }
  if not answer then
    return self:failed(host_of(url), err, check)
  end
  self:reached(host_of(url), check)
  local said = times.http(answer.headers.date)
  if check == "arm-host" and said then
    judge_clock(self, said - (began + self.core.time()) / 2)
  end
end

local ORDER = { ["entra-host"] = 1, ["arm-host"] = 2, ["relay-host"] = 3, clock = 4 }

--- What was found, in one order, whichever host was faster.
---@return arclua.Finding[]
function Hosts:sorted()
  table.sort(self.findings, function(a, b)
    local x, y = ORDER[a.check], ORDER[b.check]
    return x < y or x == y and a.message < b.message
  end)
  return self.findings
end

--- Asks Entra's and ARM's hosts.
function Hosts:look()
  local tasks = {
    self.core.spawn(ask, self, "entra-host", self.cloud.authority
      .. "/common/v2.0/.well-known/openid-configuration"),
    self.core.spawn(ask, self, "arm-host", self.cloud.resource_manager
      .. "/subscriptions?api-version=2022-12-01"),
  }
  for _, task in ipairs(tasks) do
    local ok, err = task:await()
    if not ok and errors.is(err) then
      for _, other in ipairs(tasks) do
        other:cancel()
      end
      return nil, err
    end
  end
  return true
end

return { new = new }
