-- SPDX-License-Identifier: MIT
-- The Azure Developer CLI: what is run, what its answers mean.
local azure_developer_cli = require "arclua.credential.azure_developer_cli"
local core = require "arclua.core"
local emulated = require "emulated"
local errors = require "arclua.errors"
local fake = require "fake"
local harness = require "harness"
local program = require "program"

local SCOPE = "https://arm.test/.default"

describe("Azure Developer CLI", function()
  local function fetch(answer, spec, opts, scope)
    local command = fake.script { answer }
    local source = azure_developer_cli.new(spec or {}, fake.core { token = { command = command } })
    local secret, info = source:fetch(scope or SCOPE, opts or {})
    return secret, info, command.calls[1] and command.calls[1][1].args
  end

  it("runs azd for the scope", function()
    local _, _, args = fetch { "s", {} }
    assert.equal("azd auth token --output json --no-prompt --scope " .. SCOPE,
      table.concat(args, " "))
    _, _, args = fetch({ "s", {} }, { tenant = "T" }, { claims = "{}" })
    assert.same({ "--tenant-id", "T", "--claims", "e30=" }, table.move(args, 9, 12, 1, {}))
  end)

  it("is unavailable when absent or signed out, failed otherwise", function()
    for message, reason in pairs { ["run `azd auth login` to log in"] = "cred.unavailable",
      ["something broke"] = "cred.az-failed" } do
      local secret, err = fetch { nil, errors.new { reason = "cred.az-failed", message = message } }
      assert.is_nil(secret)
      assert.equal(reason, err.reason)
      assert.matches("azd auth login", err.remedy)
    end
    local secret, err = fetch { nil, errors.new { code = "notfound", message = "no azd" } }
    assert.is_nil(secret)
    assert.equal("cred.unavailable", err.reason)
  end)

  it("never takes a scope that could be an option or worse", function()
    for _, scope in ipairs { "x y;z", "--output", "" } do
      local secret, err, args = fetch({ "s", {} }, {}, {}, scope)
      assert.is_nil(secret)
      assert.equal("config", err.code)
      assert.is_nil(args)
    end
  end)

  harness.both("answers with a token and a time", function()
    local secret, info = core.token.command { args = { "sh", "-c",
      [[echo '{"token":"t","expiresOn":"2100-01-02T03:04:05Z"}']] } }
    assert.equal("<redacted>", tostring(secret))
    assert.equal(4102542245, info.expires_on)
  end)

  emulated.spec("is told from az by its own name and remedy", { machines = 1, az = "notice" },
    function(e)
      -- The emulator's azd is run by the Lua of this process, with its libraries.
      local env = { ARCLUA_CONFIG = "none", LD_PRELOAD = os.getenv "ARCLUA_PRELOAD" }
      for name, value in pairs(e.env) do
        env[name] = value
      end
      for name, wanted in pairs { azd = "azd printed other text before its JSON\n  let it print "
        .. "JSON alone: look for", az = "az printed other text before its JSON\n  let it print "
        .. "JSON alone: az config set" } do
        local ended = program.run({ "--credential", name, "token" }, { env = env })
        assert.equal(1, ended.status)
        assert.truthy(ended.err:find(wanted, 1, true), ended.err)
      end
    end)

  -- A program azd that gives a token of the emulator, and no other credential.
  emulated.spec("signs in, named or in the default chain", { machines = 1 }, function(e)
    local dir = e.client_dir .. "/bin"
    assert(core.sys.mkdir(dir, 448))
    assert(core.sys.write_file(dir .. "/azd", ("#!/bin/sh\nprintf '%%s\\n' \"$*\" >>%s/log\n"
      .. "echo '{\"token\":\"%s\",\"expiresOn\":\"2100-01-02T03:04:05Z\"}'\n"):format(dir,
      emulated.token(e)), 448))
    local env = { PATH = dir .. ":/usr/bin:/bin", AZURE_CLIENT_SECRET = "",
      AZURE_TOKEN_CREDENTIALS = "dev" }
    for name, value in pairs(e.env) do
      env[name] = env[name] or value
    end
    for _, name in ipairs { "azd", "azure-developer-cli", "default" } do
      local ended = program.run({ "machines", "--all", "--credential", name }, { env = env })
      assert.equal(0, ended.status, ended.err)
      assert.matches("web%-01", ended.out)
    end
    local _, count = core.sys.read_file(dir .. "/log"):gsub("auth token %-%-output json", "")
    assert.equal(3, count)
  end)
end)
