-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local errors = require "arclua.errors"
local fake = require "fake"
local harness = require "harness"
local output = require "arclua.output"

local both = harness.both

-- An output on a stream that writes slowly, or fails.
local function setup(failure)
  local seen = { text = "", writers = 0, most = 0, writes = 0 }
  local stream = { write = function(_, text)
    seen.writes = seen.writes + 1
    if failure then
      return nil, failure
    end
    seen.writers = seen.writers + 1
    seen.most = math.max(seen.most, seen.writers)
    local ok, err = core.sleep(0.002)
    seen.writers = seen.writers - 1
    if not ok then
      return nil, err
    end
    seen.text = seen.text .. text
    return true
  end }
  return output.new(9, fake.core { stdio = function() return stream end }), seen
end

describe("output", function()
  both("lets writers take turns", function()
    local out, seen = setup()
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = core.spawn(function() out:line(tostring(i)) end)
    end
    for _, task in ipairs(tasks) do
      task:await()
    end
    assert.equal(1, seen.most)
    assert.equal("1\n2\n3\n4\n5\n", seen.text)
  end)

  both("swallows the rest once it is closed", function()
    local out, seen = setup(errors.new { code = "closed", message = "broken pipe" })
    assert.is_true(out:line "a")
    assert.is_true(out:line "b")
    assert.equal(1, seen.writes)
  end)

  both("still prints in a task that was cancelled", function()
    local out, seen = setup()
    local task = core.spawn(function()
      core.sleep(20)
      out:line "the end"
    end)
    core.sleep(0.005)
    task:cancel()
    task:await()
    assert.equal("the end\n", seen.text)
  end)
end)
