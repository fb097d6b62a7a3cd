-- SPDX-License-Identifier: MIT
local errors = require "arclua.errors"
local machines = require "arclua.arm.machines"

local ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.HybridCompute/machines/web-01"

describe("machines of ARM", function()
  it("are brought into one shape", function()
    assert.same({
      id = ID, name = "web-01", resource_group = "rg", subscription = "s", location = "westeurope",
      type = "Microsoft.HybridCompute/machines", os = "linux", os_name = "Ubuntu 24.04.1 LTS",
      status = "Connected", last_status_change = "2026-01-01T00:00:00Z",
      agent_version = "1.66.03412.2214", tags = { role = "web" },
    }, machines.normalise {
      id = ID, name = "web-01", location = "westeurope", tags = { role = "web" },
      properties = { osType = "Linux", osSku = "Ubuntu 24.04.1 LTS", osName = "ubuntu",
        status = "Connected", lastStatusChange = "2026-01-01T00:00:00Z",
        agentVersion = "1.66.03412.2214" },
    })
  end)

  it("may lack nearly everything", function()
    local machine = machines.normalise { id = ID }
    assert.equal("web-01", machine.name)
    assert.equal("Unknown", machine.status)
    assert.is_nil(machine.os)
    assert.same({}, machine.tags)
    assert.is_nil(machines.normalise { id = "/x" })
    assert.is_nil(machines.normalise {})
  end)

  it("tell their system by type or name", function()
    local function os_of(properties)
      return machines.normalise({ id = ID, properties = properties }).os
    end
    assert.equal("windows", os_of { osType = "Windows" })
    assert.equal("windows", os_of { osName = "windows" })
    assert.equal("linux", os_of { osName = "rhel" })
  end)

  it("are reported absent by name", function()
    local client = { url = function(_, path) return path end, request = function()
      return errors.fail { code = "notfound", status = 404, message = "gone" }
    end }
    local machine, err = machines.get(client, ID)
    assert.is_nil(machine)
    assert.equal("arm.machine-not-found", err.reason)
  end)

  it("list only usable subscriptions", function()
    local client = { url = function(_, path) return path end, list = function(_, _, each)
      local out = {}
      for _, state in ipairs { "Enabled", "Disabled", "Warned", "Deleted" } do
        out[#out + 1] = each { subscriptionId = state, displayName = "x", state = state }
      end
      return out
    end }
    local list = machines.subscriptions(client)
    assert.equal(2, #list)
    assert.equal("Warned", list[2].id)
  end)
end)
