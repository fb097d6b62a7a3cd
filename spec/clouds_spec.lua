-- SPDX-License-Identifier: MIT
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local emulated = require "emulated"
local fake = require "fake"
local json = require "arclua.json"
local program = require "program"

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

  it("checks tenants (§8 row 12)", function()
    assert.equal("contoso.com", clouds.tenant "contoso.com")
    for _, bad in ipairs { "a/b", "../x", "..", "", "-x", "a b", "a;b", "a%2f" } do
      local tenant, err = clouds.tenant(bad)
      assert.is_nil(tenant)
      assert.equal("config", err.code)
      assert.matches("a GUID or a domain name expected", err.message)
    end
  end)

  it("says what is wrong with an authority, and no password (§8 row 12)", function()
    for url, why in pairs { ["http://login.test"] = "only https will do",
      ["https://u:hush@login.test"] = "no user or password belongs into it",
      ["https://login.test/x"] = "expected$", ["https://login.test?x"] = "expected$",
      ["https://login.test#x"] = "expected$", ["https://"] = "expected$",
      ["ftp://login.test"] = "only https" } do
      local origin, err = clouds.origin(url)
      assert.is_nil(origin)
      assert.equal("config", err.code)
      assert.matches(why, err.message)
      assert.is_nil(err.message:find("hush", 1, true))
    end
    for _, good_ in ipairs { "login.test", "https://LOGIN.test//", "https://login.test" } do
      assert.equal("https://login.test", clouds.origin(good_))
    end
  end)

  it("has the values of each cloud (§8 row 57)", function()
    for name, row in pairs {
      public = { "login.microsoftonline.com", "management.azure.com", "management.azure.com",
        "windows.net" },
      usgov = { "login.microsoftonline.us", "management.usgovcloudapi.net",
        "management.core.usgovcloudapi.net", "usgovcloudapi.net" },
      china = { "login.partner.microsoftonline.cn", "management.chinacloudapi.cn",
        "management.core.chinacloudapi.cn", "chinacloudapi.cn" },
    } do
      local cloud = clouds.load(name)
      assert.equal("https://" .. row[1], cloud.authority)
      assert.equal("https://" .. row[2], cloud.resource_manager)
      assert.equal("https://" .. row[3] .. "/.default", cloud.scope)
      assert.equal("servicebus." .. row[4], cloud.relay_suffix)
    end
    for _, name in ipairs { "AzureGermanCloud", "Germany" } do
      assert.matches("closed in 2021", select(2, clouds.load(name)).message)
    end
  end)

  it("goes by the authority in the environment", function()
    for host, wanted in pairs { ["https://login.chinacloudapi.cn/"] = "china",
      ["login.microsoftonline.us"] = "usgov", ["https://login.microsoftonline.com"] = "public",
      ["login.windows.net"] = "public", ["https://own.test"] = "public" } do
      local cloud = fake.env({ AZURE_AUTHORITY_HOST = host }, clouds.load)
      assert.equal(wanted, cloud.name)
      assert.equal(clouds.origin(host), cloud.authority)
    end
    for _, host in ipairs { "http://login.test", "https://login.microsoftonline.de" } do
      local cloud, err = fake.env({ AZURE_AUTHORITY_HOST = host }, clouds.load)
      assert.is_nil(cloud)
      assert.matches("^AZURE_AUTHORITY_HOST", err.message)
    end
  end)

  describe("that an ARM describes (§8 row 57)", function()
    local function document(more)
      local out = { name = "Own Cloud", resourceManager = "https://management.own.test/",
        authentication = { loginEndpoint = "https://login.own.test/", tenant = "common",
          audiences = { "https://management.core.own.test/", "https://management.own.test/" } } }
      for key, value in pairs(more or {}) do
        out[key] = value or nil
      end
      return out
    end

    local function load(content)
      return with_file(content, clouds.load)
    end

    it("are an object, a list of one, with a mark of byte order", function()
      for _, content in ipairs { json.encode(document()), json.encode { document() },
        "\xEF\xBB\xBF" .. json.encode(document()) } do
        local cloud = assert(load(content))
        assert.equal("Own-Cloud", cloud.name)
        assert.equal("https://login.own.test", cloud.authority)
        assert.equal("https://management.own.test", cloud.resource_manager)
        assert.equal("https://management.core.own.test//.default", cloud.scope)
        assert.equal("cred.untrusted-cloud", select(2, clouds.may_use_environment(cloud)).reason)
      end
    end)

    it("may have AD FS", function()
      for _, authentication in ipairs {
        { loginEndpoint = "https://adfs.own.test/adfs", audiences = { "https://a" } },
        { loginEndpoint = "https://adfs.own.test", audiences = { "https://a" },
          identityProvider = "ADFS" } } do
        local cloud = assert(load(document { authentication = authentication }))
        assert.is_true(cloud.adfs)
        assert.equal("https://adfs.own.test", cloud.authority)
        assert.equal("adfs", clouds.any_tenant(cloud))
      end
    end)

    for what, more in pairs {
      ["no audiences"] = { authentication = { loginEndpoint = "https://l" } },
      ["an audience that is no text"] = { authentication = { loginEndpoint = "https://l",
        audiences = { 5 } } },
      ["no login endpoint"] = { authentication = { audiences = { "https://a" } } },
      ["an http login endpoint"] = { authentication = { loginEndpoint = "http://l",
        audiences = { "https://a" } } },
      ["authentication that is none"] = { authentication = "x" },
      ["no ARM"] = { resourceManager = false }, ["an http ARM"] = { resourceManager = "http://m" },
    } do
      it("are refused with " .. what, function()
        local cloud, err = load(document(more))
        assert.is_nil(cloud)
        assert.equal("config", err.code)
      end)
    end

    it("are chosen among several by name", function()
      local list = { document(), document { name = "Other" } }
      local cloud, err = load(list)
      assert.is_nil(cloud)
      assert.matches("several clouds; name one behind a '#': Own Cloud, Other", err.message)
    end)

    it("are asked by https only", function()
      for _, url in ipairs { "http://management.own.test", "https://u:p@management.own.test" } do
        local cloud, err = clouds.load(url)
        assert.is_nil(cloud)
        assert.equal("config", err.code)
      end
    end)

    emulated.spec("are asked by the address of the ARM", { machines = 1 }, function(e)
      local arm = e.state.cloud.resource_manager
      local env = { SSL_CERT_FILE = e.state.cloud.ca, ARCLUA_CLOUD = false }
      for name, value in pairs(e.env) do
        env[name] = env[name] == nil and value or env[name]
      end
      for _, args in ipairs { { "--cloud", arm }, { "--cloud", arm .. "/" },
        { "--cloud", arm .. "/metadata/endpoints?api-version=2022-09-01#arclua-emulator" } } do
        args[#args + 1] = "machines"
        local ended = program.run(args, { env = env })
        assert.equal(0, ended.status, ended.err)
        assert.matches("web%-01", ended.out)
      end
      env.ARM_CLOUD_METADATA_URL = arm .. "/metadata/endpoints?api-version=2022-09-01"
      assert.equal(0, program.run({ "--cloud", "arclua-emulator", "machines" }, { env = env })
        .status)
      for args, why in pairs { [arm .. "#other"] = "several clouds", [arm .. "/elsewhere"]
        = "status 400 instead of a description" } do
        local ended = program.run({ "--cloud", args, "machines" }, { env = env })
        assert.equal(1, ended.status)
        assert.truthy(ended.err:find(why, 1, true), ended.err)
      end
      env.AZURE_AUTHORITY_HOST = false
      local ended = program.run({ "--cloud", arm, "machines" }, { env = env })
      assert.equal(1, ended.status)
      assert.truthy(ended.err:find("--trust-cloud", 1, true), ended.err)
    end)
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
