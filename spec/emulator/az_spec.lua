-- SPDX-License-Identifier: MIT
-- The emulator's az and azd: as scripts call them, as our credentials do, and what goes wrong.
local core = require "arclua.core"
local emulated = require "emulated"
local emulator = require "arclua.emulator"
local harness = require "harness"
local json = require "arclua.json"
local program = require "program"

local AZ = { machines = 1, sign_in = "azure-cli" }

-- Runs a shell line with the emulator's variables: exit status, output, errors.
local function sh(e, line)
  local path = e.client_dir .. "/stderr"
  local env = { LC_ALL = "C" }
  for name, value in pairs(e.env) do
    env[name] = value
  end
  local child <close> = assert(core.process.spawn { args = { "sh", "-c", line }, env = env,
    stderr = "file:" .. path, cwd = "/" })
  local out = child:stdout()
  local text = harness.drain(out)
  out:close()
  local status = child:wait().status
  local err = core.sys.read_file(path, 1 << 20) or ""
  core.sys.remove(path)
  return status, text, err
end

local function json_of(e, line)
  local status, text, err = sh(e, line)
  assert.equal(0, status, err)
  return json.decode(text), text
end

-- A token by our own credential of that name: secret, info | nil, err.
local function fetch(e, name)
  local status, out, err = sh(e, ("'%s' --credential %s token -o json"):format(program.path, name))
  return status, out, err
end

describe("the emulator's az", function()
  emulated.spec("answers as the real one does", AZ, function(e)
    local token = json_of(e, "az account get-access-token --output json")
    assert.equal("Bearer", token.tokenType)
    assert.equal(e.state.tenant, token.tenant)
    assert.equal(e.state.subscriptions[1].id, token.subscription)
    assert.truthy(token.expires_on > core.time() + 3000)
    assert.matches("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d%.000000$", token.expiresOn)
    assert.equal("user@arclua.test",
      core.token.claims(core.secret(token.accessToken)).upn)
    local shown = json_of(e, "az account show")
    assert.same({ name = "user@arclua.test", type = "user" }, shown.user)
    assert.is_true(shown.isDefault)
    assert.equal(#e.state.subscriptions, #json_of(e, "az account list --all -o json"))
    assert.matches("^%d+%.%d+%.%d+$", json_of(e, "az version")["azure-cli"])
  end)

  emulated.spec("serves scripts: queries, tenants, subscriptions", AZ, function(e)
    local one = e.state.subscriptions[1]
    local _, text = sh(e, "az account show --query id -o tsv")
    assert.equal(one.id .. "\n", text)
    _, text = sh(e, "az account get-access-token --query accessToken -o tsv --resource "
      .. e.state.cloud.audience)
    assert.truthy(core.token.claims(core.secret((text:gsub("\n$", "")))))
    assert.is_nil(json_of(e, "az account get-access-token --tenant " .. e.state.tenant)
      .subscription)
    assert.equal(one.id, json_of(e, ("az account get-access-token -s '%s' --scope %s/.default")
      :format(one.name, e.state.cloud.audience)).subscription)
    local status, _, err = sh(e, "az account get-access-token -s nowhere")
    assert.equal(1, status)
    assert.truthy(err:find("doesn't exist", 1, true), err)
    status, _, err = sh(e, "az account get-access-token --resource https://other.test")
    assert.equal(1, status)
    assert.truthy(err:find("AADSTS500011", 1, true), err)
    status, _, err = sh(e, "az vm list")
    assert.equal(2, status)
    assert.truthy(err:find("'vm list' is misspelled", 1, true), err)
    assert.equal(2, (sh(e, "az account show --output")))
    assert.equal(2, (sh(e, "az account show -o table")))
  end)

  emulated.spec("is the credential of a command", AZ, function(e)
    local status, out, err = sh(e, ("'%s' exec --all -- 'echo there'"):format(program.path))
    assert.equal(0, status, err)
    assert.truthy(out:find("there", 1, true))
    assert.equal(0, (fetch(e, "azd")))
  end)

  emulated.spec("has no token in its arguments, and keeps its session to itself", AZ, function(e)
    assert.equal(384, core.sys.stat(e.client_dir .. "/azure/session.json").mode & 511)
    assert.equal(448, core.sys.stat(e.client_dir .. "/azure/bin").mode & 511)
    assert.equal(448, core.sys.stat(e.client_dir).mode & 511)
    for name in pairs(e.state.users.refresh) do
      assert.is_nil(core.sys.read_file(e.client_dir .. "/azure/bin/az"):find(name, 1, true))
    end
  end)

  emulated.spec("gives a certificate that opens a machine", { machines = { { name = "web-01",
    login = "entra" } }, sign_in = "azure-cli" }, function(e)
    local key = e.client_dir .. "/rsa"
    local make = "LD_PRELOAD= ssh-keygen -q -t rsa -b 2048 -N '' -f %s && az ssh cert "
      .. "--public-key-file %s.pub --file %s-cert.pub && LD_PRELOAD= ssh-keygen -L -f %s-cert.pub"
    local status, _, err = sh(e, (make .. " >&2"):format(key, key, key, key))
    assert.equal(0, status, err)
    assert.truthy(err:find("Generated SSH certificate", 1, true), err)
    assert.truthy(err:lower():find("user@arclua.test", 1, true), err)
    status, _, err = sh(e, ("'%s' exec --all -l user@arclua.test -i %s -- true"):format(
      program.path, key))
    assert.equal(0, status, err)
    status, _, err = sh(e, "az ssh cert -p " .. e.env.ARCLUA_IDENTITY .. ".pub")
    assert.equal(1, status)
    assert.truthy(err:find("Couldn't parse public key", 1, true), err)
    assert.equal(1, (sh(e, "az ssh cert -p /nowhere")))
    local out
    status, out, err = sh(e, ("'%s' exec --entra --all -- id -un"):format(program.path))
    assert.equal(0, status, err)
    assert.truthy(out:find("user@arclua.test", 1, true), out)
    e:az "no-extension"
    status, _, err = sh(e, ("'%s' exec --entra --all -- id -un"):format(program.path))
    assert.equal(1, status)
    assert.truthy(err:find("no extension ssh", 1, true), err)
  end)

  emulated.spec("signs out and in again", AZ, function(e)
    assert.equal(0, (sh(e, "az logout")))
    local status, _, err = sh(e, "az account show")
    assert.equal(1, status)
    assert.truthy(err:find("Please run 'az login'", 1, true))
    assert.equal(0, (sh(e, "az login")))
    assert.equal(0, (sh(e, "az account show")))
  end)

  emulated.spec("goes wrong on request, and each is told apart", AZ, function(e)
    for mode, wanted in pairs { ["signed-out"] = "the Azure CLI is not signed in",
      expired = "the Azure CLI is not signed in", garbage = "printed no JSON" } do
      e:az(mode)
      local status, _, err = fetch(e, "az")
      assert.equal(1, status, mode)
      assert.truthy(err:find(wanted, 1, true), mode .. ": " .. err)
      status, _, err = fetch(e, "azd")
      assert.equal(1, status, mode)
      assert.truthy(err:find("azd auth login", 1, true), mode .. ": " .. err)
    end
    e:az "notice"
    for _, name in ipairs { "az", "azd" } do
      local status, _, err = fetch(e, name)
      assert.equal(1, status)
      assert.truthy(err:find("other text before its JSON", 1, true), err)
    end
    local _, text = sh(e, "az version")
    assert.matches("^%s*New version", text)
  end)

  emulated.spec("that hangs is ended with its children", AZ, function(e)
    e:az "hang"
    local secret, err = core.token.command { args = { e.client_dir .. "/azure/bin/az", "account",
      "get-access-token" }, timeout = 1 }
    assert.is_nil(secret)
    assert.equal("timeout", err.code)
  end)

  it("is refused with another behaviour", function()
    assert.has_error(function() emulator.start { az = "sings" } end)
  end)

  emulated.spec("is not there unless it is asked for", { machines = 1 }, function(e)
    assert.is_nil(e.env.PATH)
    assert.has_error(function() e:az "hang" end)
  end)
end)

describe("the emulator's azd", function()
  emulated.spec("answers as the real one does", { machines = 1, az = "signed-in" }, function(e)
    local token = json_of(e, "azd auth token --output json --no-prompt --scope "
      .. e.state.cloud.audience .. "/.default")
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", token.expiresOn)
    assert.truthy(core.token.claims(core.secret(token.token)))
    assert.equal(0, (sh(e, "azd auth login --check-status")))
    assert.equal(0, (sh(e, "azd version")))
    e:az "signed-out"
    local status, text = sh(e, "azd auth token --output json --scope x/.default")
    assert.equal(1, status)
    assert.equal("consoleMessage", json.decode(text).type)
  end)
end)

describe("the folder of az", function()
  emulated.spec("has the profile that the real one leaves", { machines = 1, subscriptions = 2,
    az = "signed-in" }, function(e)
    local text = core.sys.read_file(e.env.AZURE_CONFIG_DIR .. "/azureProfile.json")
    local profile = json.decode(text:match "^\xEF\xBB\xBF(.*)$")
    assert.equal(2, #profile.subscriptions)
    assert.is_true(profile.subscriptions[1].isDefault)
    assert.is_false(profile.subscriptions[2].isDefault)
  end)
end)
