-- SPDX-License-Identifier: MIT
-- The Azure CLI's azureProfile.json: which subscription it makes the default; whatever is in it, it
-- is read or passed over. The seed of the random ones is in the message of a failure.
local azure_profile = require "arclua.credential.azure_profile"
local core = require "arclua.core"
local json = require "arclua.json"
local paths = require "arclua.paths"

local ROUNDS = 1000
local BOM = "\xEF\xBB\xBF"

local function entry(id, changes)
  local it = { id = id, name = "n", state = "Enabled", isDefault = true, tenantId = "t",
    user = { name = "a@b", type = "user" }, environmentName = "AzureCloud" }
  for name, value in pairs(changes or {}) do
    it[name] = value
  end
  return it
end

describe("the Azure CLI's default subscription", function()
  local dir, before

  setup(function()
    dir = assert(core.sys.mkdtemp "arclua-spec-")
    before = paths.azure_cli
    paths.azure_cli = function() return dir end
  end)

  teardown(function()
    paths.azure_cli = before
    core.sys.remove(dir)
  end)

  -- The default that a profile's text names; nil: none.
  local function default_of(text)
    assert(core.sys.write_file(dir .. "/azureProfile.json", text))
    local one = azure_profile.default { azure_name = "AzureCloud" }
    return one and one.id
  end

  local function of(...)
    return default_of(json.encode { installationId = "i", subscriptions = { ... } })
  end

  it("is read with the mark of UTF-8 and without", function()
    local text = json.encode { subscriptions = { entry "one" } }
    assert.equal("one", default_of(text))
    assert.equal("one", default_of(BOM .. text))
  end)

  it("is that of the cloud, whoever is signed in", function()
    assert.equal("two", of(entry("one", { environmentName = "AzureUSGovernment" }), entry "two"))
    assert.equal("two", of(entry("one", { isDefault = false }), entry "two"))
    assert.equal("mi", of(entry("mi", { user = { name = "systemAssignedIdentity",
      type = "servicePrincipal", assignedIdentityInfo = "MSI" } })))
    assert.equal("t", of(entry("t", { name = "N/A(tenant level account)" })))
    assert.is_nil(of(entry("one", { environmentName = "AzureUSGovernment" })))
    assert.is_nil(of())
  end)

  it("is nothing where the file says nothing", function()
    for _, text in ipairs { "", "x", "[]", "7", "null", '{"subscriptions":7}',
      '{"subscriptions":{}}', '{"subscriptions":[7,"x",null,[]]}', BOM,
      '{"subscriptions":[{"isDefault":true,"environmentName":"AzureCloud"}]}',
      '{"subscriptions":[{"isDefault":true,"environmentName":"AzureCloud","id":7}]}' } do
      assert.is_nil(default_of(text), text)
    end
  end)

  it("never breaks on what somebody else has written", function()
    local seed = os.time()
    math.randomseed(seed)
    local base = BOM .. json.encode { subscriptions = { entry "one", entry("two",
      { isDefault = false }) } }
    for round = 1, ROUNDS do
      local text = base
      for _ = 1, math.random(4) do
        local at, len = math.random(#text), math.random(0, 12)
        local part = math.random(3) == 1 and core.crypto.random(math.random(0, 4))
          or text:sub(math.random(#text), math.random(#text))
        text = text:sub(1, at - 1) .. part:sub(1, 20) .. text:sub(at + len)
        text = text == "" and "{" or text
      end
      local ok, got = pcall(default_of, text)
      assert.is_true(ok and (got == nil or type(got) == "string"),
        ("seed %d, round %d: %s: %q"):format(seed, round, tostring(got), text))
    end
  end)
end)
