-- SPDX-License-Identifier: MIT
-- The writer of ssh_config against `ssh -G` for a while:
-- lua5.4 spec/fuzz/ssh_config.lua SECONDS [SEED]
local core = require "arclua.core"
local dice = require "stanza_dice"

local seconds, seed = tonumber(arg[1]) or 20, math.tointeger(tonumber(arg[2])) or os.time()
math.randomseed(seed)
print("seed " .. seed)
local path = assert(core.sys.mkdtemp "arclua-fuzz-")
local throws, written, ends = 0, 0, os.time() + seconds
repeat
  throws = throws + 1
  written = written + (dice.throw(path .. "/config") and 1 or 0)
until os.time() >= ends
core.sys.remove(path)
print(("%d throws, %d of them written and read back"):format(throws, written))
