-- SPDX-License-Identifier: MIT
-- The order of the default chain, and what AZURE_TOKEN_CREDENTIALS makes of it.
local core = require "arclua.core"
local credential = require "arclua.credential"
local errors = require "arclua.errors"
local fake = require "fake"
local members = require "arclua.credential.members"
local paths = require "arclua.paths"

local function names(wish)
  local before = paths.env
  paths.env = function(name)
    if name == "AZURE_TOKEN_CREDENTIALS" then
      return wish
    end
  end
  local function no()
    return nil, errors.new { code = "config", message = "no" }
  end
  local ok, list, err = pcall(members, { cloud = fake.CLOUD, core = core }, {
    environment = function() return { { name = "env" } } end, login = no, cli = no })
  paths.env = before
  assert(ok, list)
  local out = {}
  for i, member in ipairs(list or {}) do
    out[i] = member.name
  end
  return table.concat(out, ", "), err, list
end

describe("default chain's members", function()
  it("stand in the order of Microsoft's libraries", function()
    local all = "env, workload identity, arclua login, managed identity, Azure CLI, "
      .. "Azure Developer CLI"
    assert.equal(all, (names(nil)))
    assert.equal(all, (names " "))
    local _, _, list = names(nil)
    for i, member in ipairs(list) do
      assert.equal(i >= 5, member.optional or false)
    end
  end)

  it("are narrowed", function()
    for wish, wanted in pairs { prod = "env, workload identity, managed identity",
      [" Dev "] = "arclua login, Azure CLI, Azure Developer CLI", EnvironmentCredential = "env",
      WorkloadIdentityCredential = "workload identity", AzureCliCredential = "Azure CLI",
      ManagedIdentityCredential = "managed identity", AZURECLICREDENTIAL = "Azure CLI",
      AzureDeveloperCLICredential = "Azure Developer CLI" } do
      assert.equal(wanted, (names(wish)))
    end
    local none, err = names "magic"
    assert.equal("", none)
    assert.equal("config", err.code)
    assert.matches("ManagedIdentityCredential.*'magic'", err.message)
  end)

  it("probe for a virtual machine unless that alone was asked for", function()
    local _, _, list = names(nil)
    assert.is_true(list[4].open().spec.probe)
    _, _, list = names "ManagedIdentityCredential"
    assert.is_false(list[1].open().spec.probe)
  end)
end)

describe("a credential's constructor", function()
  it("of a managed identity takes one choice", function()
    local opts = { cloud = fake.CLOUD, client_id = "a", object_id = "b" }
    assert.has_error(function() credential.managed_identity(opts) end)
    opts = { cloud = fake.CLOUD, object_id = "a", resource_id = "b" }
    assert.has_error(function() credential.managed_identity(opts) end)
    assert.equal("managed identity",
      assert(credential.managed_identity { cloud = fake.CLOUD, object_id = "b" }).name)
  end)

  it("goes by its names", function()
    for name, wanted in pairs { azd = "Azure Developer CLI",
      ["azure-developer-cli"] = "Azure Developer CLI", managed_identity = "managed identity" } do
      assert.equal(wanted, assert(credential.by_name(name, { cloud = fake.CLOUD })).name)
    end
    local it_, err = credential.by_name("workload-identity", { cloud = fake.CLOUD })
    assert.is_nil(it_)
    assert.equal("cred.unavailable", err.reason)
  end)
end)
