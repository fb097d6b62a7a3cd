-- SPDX-License-Identifier: MIT
-- The time that Azure's limits make a large run take, told before it begins.
local arc = require "arclua"
local cli = require "cli"

describe("the expected time", function()
  cli.with(320)

  cli.it("is told before the question", function()
    local shown = cli.run_terminal "exec --all -- true"
    assert.truthy(shown:find("exec on 320 machines in 1 subscription, about 12 s: Azure gives "
      .. "credentials for 10 machines a second", 1, true), shown)
    assert.truthy(shown:find("Go on?", 1, true))
    shown = cli.run_terminal "exec --all --first 250 -- true"
    assert.truthy(shown:find("exec on 250 machines in 1 subscription\r?\n"), shown)
    assert.equal(0, cli.e.log:count { event = "credentials" })
  end)

  cli.it("counts only machines that have no credentials yet, and would be dialled", function()
    local az = assert(arc.login { cloud = cli.e.cloud, config = "none", no_cache = true,
      credential = arc.credential.client_secret { tenant = cli.e.env.AZURE_TENANT_ID,
        cloud = cli.e.state.cloud, client_id = cli.e.env.AZURE_CLIENT_ID,
        client_secret = cli.e.env.AZURE_CLIENT_SECRET } })
    local list = assert(az:machines {})
    local all = arc.fleet(list, {})
    local before = all:expected()
    assert.is_true(before > 11.5 and before < 12.2, before)
    -- The answers here say that the bucket stays full; what was sent is no longer counted.
    for i = 1, 100 do
      assert(az.connectivity:access(list[i], {}))
    end
    assert.is_true(all:expected() < 2.3)
    for i = 200, 320 do
      list[i].status = "Disconnected"
    end
    assert.equal(0, all:expected())
    assert.equal(0, arc.fleet({ "web-01", { host = "h" } }, {}):expected())
  end)
end)
