-- SPDX-License-Identifier: MIT
-- What fuzzing has kept goes through every target again: spec/fuzz/corpus. Built with any compiler;
-- spec/fuzz/run.sh replay does the same by libFuzzer.
local core = require "arclua.core"
local ends = require("harness").ends

local CORPUS = "spec/fuzz/corpus"
local REPLAY = os.getenv "ARCLUA_REPLAY" or "build/debug/spec/fuzz/fuzz_replay"

-- What the program prints: lines, and its exit status.
local function replay(...)
  local pipe <close> = assert(io.popen(table.concat({ "LD_PRELOAD= exec", REPLAY, ... }, " ")
    .. " 2>&1", "r"))
  local lines = {}
  for line in pipe:lines() do
    lines[#lines + 1] = line
  end
  local _, _, status = pipe:close()
  return lines, status
end

describe("the corpus", function()
  it("is there for every fuzz target, and no other", function()
    local corpora = assert(core.sys.list(CORPUS))
    table.sort(corpora)
    assert.same(replay(), corpora)
    local _, status = replay "nonsense"
    assert.equal(2, status)
  end)

  for _, target in ipairs(replay()) do
    ends("of " .. target, function()
      local paths = {}
      for _, name in ipairs(assert(core.sys.list(CORPUS .. "/" .. target))) do
        paths[#paths + 1] = ("%s/%s/%s"):format(CORPUS, target, name)
      end
      assert.is_true(#paths > 0)
      local lines, status = replay(target, table.unpack(paths))
      assert.equal(0, status, table.concat(lines, "\n", math.max(1, #lines - 30)))
      assert.same(paths, lines) -- not one was left out
    end)
  end
end)
