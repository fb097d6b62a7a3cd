-- SPDX-License-Identifier: MIT
local alias = require "arclua.alias"

describe("alias", function()
  local machine = { name = "Web.01", resource_group = "RG_(prod)", subscription = "ABCD-1",
    type = "Microsoft.HybridCompute/machines" }

  it("lowers and encodes every part", function()
    assert.equal("web_2e01.rg_5f_28prod_29.abcd-1.arc", alias.of(machine))
    assert.equal("web_2e01.rg_5f_28prod_29.abcd-1.arc", alias.of(machine, "public"))
  end)

  it("tells clouds and types apart", function()
    assert.equal("web_2e01.rg_5f_28prod_29.abcd-1.usgov.arc", alias.of(machine, "usgov"))
    local other = setmetatable({ type = "Microsoft.X/vms" }, { __index = machine })
    assert.equal("web_2e01.rg_5f_28prod_29.abcd-1.microsoft_2ex_2fvms.arc", alias.of(other))
  end)

  it("is read back", function()
    local id = "00000000-0000-4000-8000-0000000000ab"
    local given = { name = "web.01", resource_group = "rg_(prod)", subscription = id,
      type = "microsoft.x/vms" }
    local parsed = assert(alias.parse(alias.of(given, "usgov"):upper()))
    given.cloud = "usgov"
    assert.same(given, parsed)
    for _, text in ipairs { "web.rg.sub.arc", "web.rg." .. id, "rg." .. id .. ".arc",
        "web..rg." .. id .. ".arc", "we_b.rg." .. id .. ".arc", "web.r*." .. id .. ".arc",
        "web.rg." .. id .. ".usgov.china.arc", ".rg." .. id .. ".arc" } do
      assert.is_nil(alias.parse(text), text)
    end
  end)

  it("spells direct hosts as OpenSSH does", function()
    assert.equal("10.0.0.5", alias.of_host("10.0.0.5", 22))
    assert.equal("[10.0.0.5]:2222", alias.of_host("10.0.0.5", 2222))
  end)
end)
