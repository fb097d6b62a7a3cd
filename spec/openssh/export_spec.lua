-- SPDX-License-Identifier: MIT
-- Stanzas for machines.
local export = require "arclua.openssh.export"

local SUB = "a5c1e000-0000-4000-8000-000000000001"

local function machine(name, group, sub)
  return { name = name, resource_group = group or "RG-Prod", subscription = sub or SUB,
    type = "Microsoft.HybridCompute/machines" }
end

local function opts(changes)
  local all = { proxy = { "/usr/bin/arclua" }, cloud = "public" }
  for name, value in pairs(changes or {}) do
    all[name] = value
  end
  return all
end

local function hosts(text)
  local out = {}
  for line in text:gmatch "Host ([^\n]*)\n  Host" do
    out[#out + 1] = line
  end
  return out
end

describe("stanzas for machines", function()
  it("have short name, alias and a command that fetches credentials", function()
    local text, left_out = export.machines({ machine "Web-01" }, opts { user = "ops", port = 2222,
      identity = { "/k/id" }, known_hosts = "/k/hosts", host_key_policy = "accept-new" })
    local full = "web-01.rg-prod." .. SUB .. ".arc"
    assert.equal(0, left_out)
    assert.equal(table.concat({ "Host RG-Prod-Web-01 " .. full, "HostName " .. full,
      "HostKeyAlias " .. full, "User ops", "IdentityFile /k/id", "UserKnownHostsFile /k/hosts",
      "StrictHostKeyChecking accept-new",
      "ProxyCommand /usr/bin/arclua proxy --port 2222 " .. full .. "\n" }, "\n  "), text)
  end)

  it("go by their alias alone where a short name would be another's, or a pattern", function()
    local text, left_out = export.machines({ machine "a", machine("A", nil, SUB:gsub("1$", "2")),
      machine "b c", machine "d*", machine "e" }, opts())
    assert.equal(4, left_out)
    local list = hosts(text)
    assert.equal(5, #list)
    for i = 1, 4 do
      assert.matches("^[%w_.-]+%.arc$", list[i])
    end
    assert.matches("^RG%-Prod%-e e%.", list[5])
  end)

  it("take their short names from a template", function()
    assert.matches("Host e%.RG%-Prod ", (export.machines({ machine "e" },
      opts { host = "{name}.{rg}" })))
    for template, why in pairs { ["{rg}"] = "{name} expected", ["{name}-{x}"] = "'{x}'",
        [""] = "{name} expected" } do
      local ok, err = export.check_host(template)
      assert.is_nil(ok)
      assert.matches(why, err.message, 1, true)
    end
    assert.is_true(export.check_host "{sub}-{name}")
  end)

  it("say the type and the cloud in the alias", function()
    local it = machine "vm"
    it.type = "Microsoft.ConnectedVMwarevSphere/virtualMachines"
    assert.matches("vm.rg-prod." .. SUB
      .. ".microsoft_2econnectedvmwarevsphere_2fvirtualmachines.usgov.arc",
      export.machines({ it }, opts { cloud = "usgov" }), 1, true)
  end)

  it("are one for all machines", function()
    assert.equal("Host *.arc\n  User ops\n  ProxyCommand '/opt/arc lua/arclua' --cloud '/a b.json' "
      .. "proxy %h\n", export.wildcard(opts { user = "ops",
        proxy = { "/opt/arc lua/arclua", "--cloud", "/a b.json" } }))
  end)

  it("have a certificate of Entra's renewed for all of them", function()
    local entra = { renew = { "/usr/bin/arc lua", "cert" }, key = "/k",
      certificate = "/k-cert.pub" }
    local full = "web-01.rg-prod." .. SUB .. ".arc"
    local text = export.machines({ machine "Web-01" }, opts { user = "a@b", entra = entra })
    assert.equal(("Match originalhost RG-Prod-Web-01,%s exec \"'/usr/bin/arc lua' cert\"\n"
      .. "  User a@b\n  IdentityFile /k\n  CertificateFile /k-cert.pub\n  IdentitiesOnly yes\n\n"
      .. "Host "):format(full), text:sub(1, text:find("Host RG", 1, true) + 4))
    assert.is_nil(text:find("User", text:find("\nHost", 1, true), true))
    assert.matches("^Match originalhost %*%.arc exec",
      (export.wildcard(opts { user = "a@b", entra = entra })))
    entra.renew[1] = '/a"b'
    for _, make in ipairs { function(o) return export.machines({ machine "a" }, o) end,
        export.wildcard } do
      local got, err = make(opts { user = "a@b", entra = entra })
      assert.is_nil(got)
      assert.matches("double quote", err.message, 1, true)
    end
  end)

  it("refuse what cannot be said", function()
    for _, changes in ipairs { { user = "a\nb" }, { identity = { "/a\nb" } },
        { known_hosts = "/${X}" }, { proxy = { "/a\nb" } } } do
      local text, err = export.machines({ machine "a" }, opts(changes))
      assert.is_nil(text)
      assert.equal("config", err.code)
      text, err = export.wildcard(opts(changes))
      assert.is_nil(text)
      assert.equal("config", err.code)
    end
  end)
end)
