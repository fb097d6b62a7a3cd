-- SPDX-License-Identifier: MIT
local permissions = require "arclua.arm.permissions"
local roles = require "arclua.emulator.roles"

local function set(name)
  local role = assert(roles.find(name))
  return { actions = role.actions, notActions = role.no_actions, dataActions = role.data }
end

local CONNECT = "Microsoft.HybridConnectivity/endpoints/"
local COMPUTE = "Microsoft.HybridCompute/machines/"

-- What each role may do, by arm.md's table (its section 5.3).
local STEPS = {
  read = COMPUTE .. "read", endpoint = CONNECT .. "write",
  port = CONNECT .. "serviceConfigurations/write",
  read_port = CONNECT .. "serviceConfigurations/read",
  connect = CONNECT .. "listCredentials/action", extension = COMPUTE .. "extensions/write",
  script = COMPUTE .. "runCommands/write",
  register = "Microsoft.HybridConnectivity/register/action",
}
local DATA = { login = COMPUTE .. "login/action", admin = COMPUTE .. "loginAsAdmin/action" }

local MATRIX = {
  ["Reader"] = "read read_port",
  ["Virtual Machine Local User Login"] = "read connect",
  ["Virtual Machine User Login"] = "read connect login",
  ["Virtual Machine Administrator Login"] = "read connect login admin",
  ["Contributor"] = "read endpoint port read_port connect extension script register",
  ["Owner"] = "read endpoint port read_port connect extension script register",
  ["Azure Connected Machine Resource Administrator"] = "read extension script",
  ["Azure Connected Machine Resource Manager"] = "read endpoint port read_port extension",
}

describe("permissions", function()
  for role, expected in pairs(MATRIX) do
    it("of " .. role .. " count as Azure counts them (66)", function()
      local wanted = " " .. expected .. " "
      for _, kind in ipairs { { STEPS, false }, { DATA, true } } do
        for step, action in pairs(kind[1]) do
          assert.equal(wanted:find(" " .. step .. " ", 1, true) ~= nil,
            permissions.allow({ set(role) }, action, kind[2]), role .. ": " .. step)
        end
      end
    end)
  end

  it("are a union of sets, each with its own exceptions (65)", function()
    local one = { actions = { "A/*" }, notActions = { "A/secret/*" } }
    local two = { actions = { "a/SECRET/read" }, notActions = {} }
    assert.is_true(permissions.allow({ one }, "a/b/c/d"))
    assert.is_false(permissions.allow({ one }, "A/secret/read"))
    assert.is_true(permissions.allow({ one, two }, "A/Secret/Read"))
    assert.is_false(permissions.allow({ one, two }, "A/secret/write"))
    assert.is_false(permissions.allow({}, "a/b"))
    assert.is_false(permissions.allow({ {} }, "a/b"))
    assert.is_false(permissions.allow({ { actions = { "a.b" } } }, "axb"))
    assert.is_false(permissions.allow({ { actions = { "*" } } }, "a/b", true))
  end)
end)
