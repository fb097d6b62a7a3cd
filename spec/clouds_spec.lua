-- SPDX-License-Identifier: MIT
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local json = require "arclua.json"

local function with_file(content, fn)
  local dir = assert(core.sys.mkdtemp "arclua-spec-")
  local path = dir .. "/cloud.json"
  assert(core.sys.write_file(path, type(content) == "string" and content or json.encode(content),
    384))
  local out = table.pack(pcall(fn, path))
  core.sys.remove(dir)
  assert(out[1], out[2])
  return table.unpack(out, 2, out.n)
end

local function good(more)
  local cloud = { name = "test", authority = "https://127.0.0.1:8443",
    resource_manager = "https://127.0.0.1:8444" }
  for key, value in pairs(more or {}) do
    cloud[key] = value
  end
  return cloud
end

describe("clouds", function()
  it("knows three, by our names and the Azure CLI's", function()
    assert.equal("https://management.azure.com/.default", clouds.load("public").scope)
    assert.equal("usgov", clouds.load("AzureUSGovernment").name)
    assert.equal("https://login.partner.microsoftonline.cn", clouds.load("china").authority)
  end)

  it("names what is unknown", function()
    local cloud, err = clouds.load "mars"
    assert.is_nil(cloud)
    assert.equal("config", err.code)
    cloud, err = clouds.load "/nonexistent/cloud.json"
    assert.is_nil(cloud)
    assert.equal("notfound", err.code)
  end)

  it("reads a cloud file; its ca is beside it", function()
    with_file(good { ca = "ca.pem", audience = "https://audience" }, function(path)
      local cloud = assert(clouds.load(path))
      assert.equal("https://127.0.0.1:8443", cloud.authority)
      assert.equal("https://audience/.default", cloud.scope)
      assert.equal((path:gsub("cloud.json$", "ca.pem")), cloud.ca)
      assert.equal(path, cloud.file)
    end)
  end)

  for what, content in pairs {
    ["no JSON"] = "{", ["a list"] = "[1]", ["a missing member"] = { name = "x" },
    ["an unknown member"] = good { authorty = "x" }, ["a number"] = good { ca = 5 },
    ["http"] = good { authority = "http://127.0.0.1" },
    ["user info"] = good { authority = "https://u@h" },
    ["a path"] = good { resource_manager = "https://h/x" },
    ["a query"] = good { resource_manager = "https://h?x" },
    ["a bad name"] = good { name = "../x" },
  } do
    it("refuses a cloud file with " .. what, function()
      with_file(content, function(path)
        local cloud, err = clouds.load(path)
        assert.is_nil(cloud)
        assert.equal("config", err.code)
      end)
    end)
  end

  it("checks tenants", function()
    assert.equal("contoso.com", clouds.tenant "contoso.com")
    local tenant, err = clouds.tenant "a/b"
    assert.is_nil(tenant)
    assert.equal("config", err.code)
  end)

  describe("and the environment's credential", function()
    local function may(cloud, trusted)
      local ok, err = clouds.may_use_environment(cloud, trusted)
      return ok or err.reason
    end

    it("goes to built-in clouds", function()
      assert.is_true(may(clouds.load "public"))
    end)

    it("goes to a foreign authority only by --trust-cloud", function()
      with_file(good { authority = "https://evil.example", credential = "environment" },
        function(path)
          local cloud = assert(clouds.load(path))
          assert.equal("cred.untrusted-cloud", may(cloud))
          assert.is_true(may(cloud, true))
        end)
    end)

    it("goes to loopback when the user's own file says so", function()
      with_file(good { credential = "environment" }, function(path)
        assert.is_true(may(assert(clouds.load(path))))
        core.sys.chmod(path, 438)
        assert.equal("cred.untrusted-cloud", may(assert(clouds.load(path))))
      end)
      with_file(good(), function(path)
        assert.equal("cred.untrusted-cloud", may(assert(clouds.load(path))))
      end)
    end)
  end)
end)
