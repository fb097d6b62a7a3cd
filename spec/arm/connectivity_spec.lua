-- SPDX-License-Identifier: MIT
local connectivity = require "arclua.arm.connectivity"
local core = require "arclua.core"
local errors = require "arclua.errors"

local MACHINE = { name = "web-01", subscription = "s", id = "/subscriptions/s/resourceGroups/rg/"
  .. "providers/Microsoft.HybridCompute/machines/web-01" }

-- ARM as far as this goes: what exists, what was done.
local function setup(state)
  state.log = {}
  local function note(text)
    state.log[#state.log + 1] = text
  end
  local function fail(status, fields)
    fields = fields or { code = "notfound" }
    fields.status, fields.message = status, "status " .. status
    return errors.fail(fields)
  end
  local client = { core = setmetatable({ time = function() return state.now or 0 end,
    sleep = function() note "sleep" return true end }, { __index = core }) }
  function client.url(_, path)
    return path
  end
  client.pace = { expected = function(_, subscription, kind, count)
    assert.same({ "s", "write" }, { subscription, kind })
    return count - (state.quota or 1)
  end }
  function client.relay_credentials()
    note "list"
    if state.during then
      state.during()
    end
    if state.refuse then
      return fail(state.refuse, { code = "denied" })
    elseif not state.endpoint then
      return fail(404)
    elseif not state.port then
      return fail(412, { code = "conflict" })
    elseif (state.lag or 0) > 0 then
      state.lag = state.lag - 1
      return fail(404)
    end
    return { expires_on = function() return state.expires or 10800 end, close = function() end,
      has_token = function() return not state.no_token end, number = #state.log }
  end
  function client.request(_, opts)
    local service = opts.path:find "serviceConfigurations" ~= nil
    if opts.method ~= "PUT" then
      note "get"
      if state.deny_get then
        return fail(403, { code = "denied" })
      end
      return { properties = { port = state.port },
        systemData = { lastModifiedAt = state.modified } }
    end
    note(service and "put service " .. opts.body.properties.port or "put endpoint")
    if state.deny_put then
      return fail(403, { code = "denied" })
    elseif state.absent then
      return fail(404)
    end
    if service then
      state.port = opts.body.properties.port
    else
      state.endpoint = true
    end
    return true
  end
  state.told = {}
  function client.log(_, text)
    state.told[#state.told + 1] = text
  end
  return connectivity.new(client), state
end

local function access(state, opts)
  local it = setup(state)
  local result, err = it:access(MACHINE, opts or {})
  return result, err, table.concat(state.log, ", "), it
end

describe("connectivity", function()
  it("only asks when all is there, and dials the configured port", function()
    local result, _, log = access { endpoint = true, port = 2222 }
    assert.equal(2222, result.port)
    assert.is_false(result.changed)
    assert.equal("list, get", log)
  end)

  it("reads a port that is text", function()
    assert.equal(2222, access({ endpoint = true, port = "2222" }).port)
  end)

  it("dials 22 when the port may not be read", function()
    assert.equal(22, access({ endpoint = true, port = 2222, deny_get = true }).port)
  end)

  it("writes nothing without consent", function()
    for _, state in ipairs { {}, { endpoint = true } } do
      local result, err, log = access(state)
      assert.is_nil(result)
      assert.equal("arm.setup-needed", err.reason)
      assert.equal("list", log)
    end
  end)

  it("makes endpoint and service configuration after a 404", function()
    local result, _, log = access({}, { enable = true })
    assert.is_true(result.changed)
    assert.equal(22, result.port)
    assert.equal("list, put endpoint, put service 22, list", log)
  end)

  it("makes only the service configuration after a 412", function()
    local result, _, log = access({ endpoint = true }, { enable = true, port = 2022 })
    assert.equal(2022, result.port)
    assert.equal("list, put service 2022, list", log)
  end)

  it("bears that its own change shows late", function()
    local result, _, log = access({ lag = 2 }, { enable = true })
    assert.is_true(result.changed)
    assert.equal("list, put endpoint, put service 22, list, sleep, list, sleep, list", log)
    local none, err = access({ lag = 9 }, { enable = true })
    assert.is_nil(none)
    assert.equal(404, err.status)
  end)

  it("says who may not, and which machine is not there", function()
    local result, err = access({ deny_put = true }, { enable = true })
    assert.is_nil(result)
    assert.equal(403, err.status)
    result, err = access({ absent = true }, { enable = true })
    assert.is_nil(result)
    assert.equal("arm.machine-not-found", err.reason)
    result, err = access { refuse = 403 }
    assert.is_nil(result)
    assert.equal("denied", err.code)
  end)

  it("changes another port only when told to replace it", function()
    local result, err, log = access({ endpoint = true, port = 22 }, { port = 2022 })
    assert.is_nil(result)
    assert.equal("config", err.code)
    assert.equal("list, get", log)
    result, err, log = access({ endpoint = true, port = 22 },
      { port = 2022, enable = true, replace = true })
    assert.is_nil(err)
    assert.equal(2022, result.port)
    assert.is_true(result.changed)
    assert.equal("list, get, put service 2022, list", log)
  end)

  it("keeps credentials until their last minute", function()
    local state = { endpoint = true, port = 22, expires = 100 }
    local it = setup(state)
    local first = it:access(MACHINE, {})
    assert.equal(first.info, it:access(MACHINE, {}).info)
    state.now = 41
    assert.not_equal(first.info, it:access(MACHINE, {}).info)
    assert.equal("list, get, list", table.concat(state.log, ", "))
  end)

  it("tells of a wrong clock once, and asks again for what has expired", function()
    local state = { endpoint = true, port = 22, expires = 10800, now = 601 }
    local it = setup(state)
    it:access(MACHINE, {})
    it:access({ id = MACHINE.id .. "2", name = "b", subscription = "s" }, {})
    assert.same({ "this machine's clock is 10 min ahead of Azure's: set it" }, state.told)
    assert.equal("list, get, list, get", table.concat(state.log, ", "))
    state = { endpoint = true, port = 22, expires = 11200 }
    setup(state):access(MACHINE, {})
    assert.same({ "this machine's clock is 7 min behind Azure's: set it" }, state.told)
    state = { endpoint = true, port = 22, expires = 10800, now = 10800 }
    setup(state):access(MACHINE, {})
    assert.equal("list, list, get", table.concat(state.log, ", "))
  end)

  it("tells that there is no token for the service", function()
    local state = { endpoint = true, port = 22, no_token = true }
    assert.truthy((setup(state):access(MACHINE, {})))
    assert.truthy(state.told[1]:find("web-01: Azure gave no service configuration token", 1, true))
  end)

  it("renews without writing", function()
    local state = { endpoint = true, port = 2222 }
    local it = setup(state)
    it:access(MACHINE, {})
    local info = it:renew(MACHINE, {}, 2222)
    assert.equal(3, info.number)
    assert.equal(2222, it:access(MACHINE, {}).port)
    state.endpoint = false
    local none, err = it:renew(MACHINE, {}, 2222)
    assert.is_nil(none)
    assert.equal(404, err.status)
  end)

  it("counts what others changed a moment ago as a change", function()
    for modified, changed in pairs { ["1970-01-01T00:15:00.5Z"] = true,
      ["1970-01-01T00:00:01Z"] = false, ["no time"] = false } do
      local way = setup { endpoint = true, port = 22, now = 1000, expires = 5000,
        modified = modified }
      assert.equal(changed, assert(way:access(MACHINE, {})).changed, modified)
    end
  end)

  it("tells when a machine's turn comes, behind those that ask now", function()
    local state = { endpoint = true, port = 22 }
    local it = setup(state)
    local other, seen = setmetatable({ id = MACHINE.id .. "2" }, { __index = MACHINE }), nil
    assert.equal(0, it:turn(MACHINE))
    state.during = function()
      seen = it:turn(other)
    end
    assert.truthy(it:access(MACHINE, {}))
    assert.equal(1, seen)
    state.quota = 0
    assert.equal(1, it:turn(other))
    assert.equal(0, it:turn(MACHINE)) -- it has credentials
    state.refuse = 403
    it:access(other, {})
    assert.equal(2, seen)
    assert.equal(1, it:turn(other))
  end)
end)
