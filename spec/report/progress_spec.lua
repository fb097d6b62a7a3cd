-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local harness = require "harness"
local progress = require "arclua.report.progress"

-- An output that is a terminal as far as anybody asks, and what was written to it.
local function screen()
  local to = { fd = 0, text = "", is_terminal = true }
  function to:write(text)
    self.text = self.text .. text
  end
  return to
end

describe("bars", function()
  harness.both("show machines, and all together", function()
    local to, all = screen(), core.sftp.meter()
    local bars = progress.new(to)
    bars:start(all, 2)
    local machines, meters = { { name = "web-01" }, { name = "ev\27[31mil" } }, {}
    for i, machine in ipairs(machines) do
      local hooks = bars:begin(machine)
      meters[i] = core.sftp.meter(all)
      bars:watch(machine, meters[i])
      hooks.on_expect(2000000)
    end
    meters[1]:add(1000000)
    core.sleep(0.25)
    assert.matches("web%-01 +%[#+ +%] +50%% +1%.0 MB", to.text)
    assert.matches("ev\\x1B[31mil", to.text, 1, true)
    assert.matches("total +%[#+ +%] +25%% +1%.0 MB +%S+ .B/s", to.text)
    bars:done(machines[1])
    local before = #to.text
    bars:clear()
    assert.equal("\r\27[3A\27[J", to.text:sub(before + 1))
    core.sleep(0.25)
    assert.is_nil(to.text:find("web-01", before, true))
    bars:stop()
  end)

  harness.both("show the files of one machine", function()
    local to, all = screen(), core.sftp.meter()
    local bars = progress.new(to)
    bars:start(all, 1)
    local machine = { name = "web-01" }
    local hooks = bars:begin(machine)
    bars:watch(machine, all)
    local item = { rel = ("long/"):rep(10) .. "file", meter = core.sftp.meter(all),
      entry = { size = 10 } }
    hooks.on_expect(10)
    hooks.on_file(item)
    hooks.on_file(item)
    core.sleep(0.25)
    assert.matches("…[%w/]+long/file +%[", to.text)
    hooks.on_file_end(item)
    hooks.on_file_end(item)
    bars:done(machine)
    bars:stop()
    assert.equal(0, bars.shown)
  end)
end)
