-- SPDX-License-Identifier: MIT
-- Machines as an inventory for Ansible.
local ansible = require "arclua.report.ansible"
local json = require "arclua.json"

local SUB = "a5c1e000-0000-4000-8000-000000000001"

local function machine(fields)
  local all = { name = "web-01", resource_group = "RG-Prod", subscription = SUB, os = "linux",
    id = "/subscriptions/x", type = "Microsoft.HybridCompute/machines", location = "westeurope",
    status = "Connected", tags = { role = "web", ["cost center"] = "4.2" } }
  for name, value in pairs(fields or {}) do
    all[name] = value
  end
  return all
end

local function inventory(list, opts)
  local all = { proxy = { "/usr/bin/arclua" }, cloud = "public" }
  for name, value in pairs(opts or {}) do
    all[name] = value
  end
  return assert(json.decode(ansible.encode(list, all)))
end

describe("an Ansible inventory", function()
  it("has hosts, their variables and the way to them", function()
    local found = inventory({ machine() }, { user = "ops", identity = { "/k/id" } })
    assert.same({ "web-01" }, found.all.hosts)
    assert.equal("-o 'ProxyCommand=/usr/bin/arclua proxy %h'",
      found.all.vars.ansible_ssh_common_args)
    local vars = found._meta.hostvars["web-01"]
    assert.equal(("web-01.rg-prod.%s.arc"):format(SUB), vars.ansible_host)
    assert.equal("ops", vars.ansible_user)
    assert.equal("/k/id", vars.ansible_ssh_private_key_file)
    assert.is_nil(vars.ansible_shell_type)
    assert.same({ role = "web", ["cost center"] = "4.2" }, vars.arc_tags)
  end)

  it("has groups that are names of Python", function()
    local found = inventory { machine() }
    for _, name in ipairs { "rg_rg_prod", "os_linux", "location_westeurope", "status_connected",
        "tag_role_web", "tag_cost_center_4_2", "subscription_" .. SUB:gsub("-", "_") } do
      assert.same({ hosts = { "web-01" } }, found[name], name)
    end
  end)

  it("names machines of one name by their aliases", function()
    local found = inventory { machine(), machine { resource_group = "b" },
      machine { name = "c d" } }
    table.sort(found.all.hosts)
    assert.same({ ("c_20d.rg-prod.%s.arc"):format(SUB), ("web-01.b.%s.arc"):format(SUB),
      ("web-01.rg-prod.%s.arc"):format(SUB) }, found.all.hosts)
  end)

  it("lets no template of a tag reach Ansible", function()
    local evil = "{{ lookup('pipe', 'id') }}"
    local vars = inventory({ machine { tags = { a = evil, [evil] = "x", b = "{% x %}" },
      os_name = "{# x" } })._meta.hostvars["web-01"]
    assert.same({ a = { __ansible_unsafe = evil }, b = { __ansible_unsafe = "{% x %}" } },
      vars.arc_tags)
    assert.same({ __ansible_unsafe = "{# x" }, vars.arc_os_name)
  end)

  it("says what shell a Windows machine has", function()
    assert.equal("powershell",
      inventory({ machine { os = "windows" } })._meta.hostvars["web-01"].ansible_shell_type)
  end)
end)
