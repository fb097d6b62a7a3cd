-- SPDX-License-Identifier: MIT
local resource_id = require "arclua.resource_id"

describe("resource_id", function()
  local ID = "/subscriptions/S/resourceGroups/rg (1)/providers/Microsoft.HybridCompute/machines/m"

  it("parses, whatever the case of its words", function()
    local want = { subscription = "S", resource_group = "rg (1)", name = "m",
      type = "Microsoft.HybridCompute/machines" }
    assert.same(want, resource_id.parse(ID))
    assert.same(want, resource_id.parse((ID:gsub("resourceGroups", "RESOURCEGROUPS")
      :gsub("Microsoft.HybridCompute/machines", "microsoft.hybridcompute/Machines"))))
  end)

  it("refuses what is no machine's ID", function()
    for _, bad in ipairs { "", "web", "a/b/c", "/subscriptions/S", ID .. "/extensions/x",
      (ID:gsub("/m$", "/a%%2fb")), (ID:gsub("/m$", "/a?b")), (ID:gsub("/m$", "/a\nb")) } do
      assert.is_nil(resource_id.parse(bad), bad)
    end
  end)

  it("tells the machine that an ID belongs to", function()
    for _, rest in ipairs { "", "/", "/extensions/x", "/runCommands/y/",
      "/providers/Microsoft.ScVmm/virtualMachineInstances/default/guestAgents/default" } do
      assert.equal(ID, resource_id.machine_of(ID .. rest))
    end
    local old = ID:gsub("HybridCompute/machines", "scvmm/virtualmachines")
    assert.equal(old, resource_id.machine_of(old))
    for bad, what in pairs {
      [ID:gsub("HybridCompute/machines", "Compute/virtualMachines")] = "use `az ssh vm`",
      [ID:gsub("HybridCompute/machines", "Web/sites")] = "of type Microsoft.Web/sites",
    } do
      local id, why = resource_id.machine_of(bad)
      assert.is_nil(id)
      assert.matches(what, why, 1, true)
    end
    for _, bad in ipairs { "", "web", "/subscriptions/S", "/subscriptions/S/resourceGroups/g",
      (ID:gsub("/m$", "/a%%2fb")) } do
      local id, why = resource_id.machine_of(bad)
      assert.same({}, { id, why })
    end
  end)

  it("encodes paths", function()
    assert.equal("/subscriptions/S/resourceGroups/rg%20(1)/providers/Microsoft.HybridCompute"
      .. "/machines/m", resource_id.path(ID))
    assert.equal("/a/b", resource_id.path "//a//b/")
  end)

  it("compares without case", function()
    assert.equal(resource_id.key(ID), resource_id.key(ID:upper() .. "/"))
  end)

  it("tells today's type from those of the first generation", function()
    assert.is_true(resource_id.is_today "microsoft.HYBRIDCOMPUTE/machines")
    for i = 2, #resource_id.TYPES do
      assert.is_false(resource_id.is_today(resource_id.TYPES[i]))
    end
  end)

  it("gives the subscriptions of IDs, each once", function()
    local function id(subscription, name)
      return resource_id.machine(subscription, "rg", name)
    end
    assert.same({ "B-1", "a-2" },
      resource_id.subscriptions { id("B-1", "x"), id("a-2", "y"), id("b-1", "z") })
    assert.same({}, resource_id.subscriptions {})
  end)
end)
