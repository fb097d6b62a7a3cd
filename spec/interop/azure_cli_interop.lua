-- SPDX-License-Identifier: MIT
-- The Azure CLI against the emulator, and arclua with the Azure CLI's sign-in.
local core = require "arclua.core"
local emulated = require "emulated"
local json = require "arclua.json"
local peers = require "peers"
local program = require "program"

local AZ = os.getenv "ARCLUA_PEERS" .. "/az/bin/az"
local LIMIT = 150 -- seconds: it takes some for each command

-- az finds names below localhost by this alone.
local function environment(e, dir)
  assert(core.sys.write_file(dir.path .. "/hosts",
    "127.0.0.1 login.arc.localhost management.arc.localhost\n", 384))
  local env = { PATH = AZ:match "^(.*)/az$" .. ":" .. os.getenv "PATH", HOME = dir.path,
    LD_PRELOAD = "libnss_wrapper.so", NSS_WRAPPER_HOSTS = dir.path .. "/hosts",
    REQUESTS_CA_BUNDLE = e.state.cloud.ca, AZURE_CONFIG_DIR = dir.path .. "/az",
    AZURE_CORE_COLLECT_TELEMETRY = "no", AZURE_CORE_LOGIN_EXPERIENCE_V2 = "off",
    AZURE_CORE_ONLY_SHOW_ERRORS = "yes" }
  for name, value in pairs(e.env) do
    env[name] = value
  end
  return env
end

-- Runs fn(az, e, env): az(words...) gives what the command prints as JSON, having succeeded.
local function with_az(fn)
  emulated.with({ machines = 3 }, function(e)
    local dir <close> = peers.directory()
    local env = environment(e, dir)
    local function az(...)
      local status, out = peers.run({ AZ, ... }, env)
      assert.equal(0, status, table.concat({ ... }, " "))
      return out ~= "" and json.decode(out) or nil
    end
    local cloud = e.state.cloud
    az("cloud", "register", "--name", "emulator", "--endpoint-resource-manager",
      cloud.resource_manager)
    az("cloud", "set", "--name", "emulator")
    az("config", "set", "core.instance_discovery=false")
    az("login", "--service-principal", "-u", env.AZURE_CLIENT_ID, "-p", env.AZURE_CLIENT_SECRET,
      "--tenant", env.AZURE_TENANT_ID)
    return fn(az, e, env)
  end)
end

local function install_extension(az, e)
  return az("rest", "--method", "put", "--url", e:machine("web-01").id
    .. "/extensions/AADSSHLogin?api-version=2025-01-13", "--body", json.encode {
      location = "westeurope", properties = { type = "AADSSHLoginForLinux",
        publisher = "Microsoft.Azure.ActiveDirectory" } })
end

describe("the Azure CLI", function()
  it("registers the emulator, signs in, lists, asks; arclua uses its sign-in", function()
    if not core.sys.stat(AZ) then
      io.stderr:write("azure_cli_interop: LEFT OUT: no Azure CLI in ", AZ, "\n")
      pending "the Azure CLI is not installed"
      return
    end
    core.spawn(core.timeout, LIMIT, with_az, function(az, e, env)
      local account = az("account", "show")
      assert.equal(e.state.subscriptions[1].id, account.id)
      assert.equal(3, #az("resource", "list"))
      assert.equal("web-02", az("resource", "list", "--name", "web-02")[1].name)
      assert.equal(1, #az("group", "list"))
      assert.equal(1, #az("rest", "--url", "/subscriptions?api-version=2022-12-01").value)
      local graph = az("rest", "--method", "post", "--url",
        "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01", "--body",
        [[{"query":"Resources | where type =~ 'microsoft.hybridcompute/machines' | count"}]])
      assert.equal(3, graph.data.rows[1][1])
      install_extension(az, e)
      assert.equal("AADSSHLogin", az("rest", "--url", e:machine("web-01").id
        .. "/extensions?api-version=2025-01-13").value[1].name)
      env.AZURE_CLIENT_ID, env.AZURE_CLIENT_SECRET = false, false
      local status, out = peers.run({ program.path, "--credential", "azure_cli", "machines", "-o",
        "jsonl" }, env)
      assert.equal(0, status)
      assert.equal(3, select(2, out:gsub("\n", "")))
    end):await()
  end)
end)
