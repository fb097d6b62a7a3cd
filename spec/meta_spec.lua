-- SPDX-License-Identifier: MIT
-- The stub of the C primitives and the primitives themselves name the same things.
local core = require "arclua.core"

-- Stub class → registry name of the C type.
local TYPES = {
  Task = "arclua.task", Stream = "arclua.stream", Process = "arclua.process",
  RelayInfo = "arclua.relayinfo", Session = "arclua.session", Server = "arclua.server",
  Conn = "arclua.conn", SshKey = "arclua.ssh_key", SshCertificate = "arclua.ssh_certificate",
  Shell = "arclua.shell", Remote = "arclua.remote", Socks = "arclua.socks",
  RawTerminal = "arclua.raw",
  Sftp = "arclua.sftp", SftpFile = "arclua.sftpfile", Meter = "arclua.meter",
  LocalRoot = "arclua.local", LocalFile = "arclua.localfile",
}

local function stubbed()
  local functions, methods = {}, {}
  for _, file in ipairs { "core", "net", "ssh", "sftp", "server" } do
    for line in io.lines("lua/arclua/_meta/" .. file .. ".lua") do
      local name = line:match("^function core%.([%w_.]+)%(")
      local class, method = line:match("^function (%u%w*):([%w_]+)%(")
      if name then
        functions[name] = true
      elseif class then
        methods[class] = methods[class] or {}
        methods[class][method] = true
      end
    end
  end
  return functions, methods
end

local function real(table_, prefix, into)
  for name, value in pairs(table_) do
    if type(value) == "function" then
      into[prefix .. name] = true
    elseif type(value) == "table" and name ~= "reasons" and name ~= "error_meta" then
      real(value, prefix .. name .. ".", into)
    end
  end
  return into
end

local function missing(from, within)
  local names = {}
  for name in pairs(from) do
    if not within[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return table.concat(names, " ")
end

describe("the stub of arclua.core", function()
  local functions, methods = stubbed()

  it("names every function that exists, and no other", function()
    local exist = real(core, "", {})
    exist.kill_tasks = nil -- serves shutdown alone
    assert.equal("", missing(exist, functions))
    assert.equal("", missing(functions, exist))
  end)

  for class, type_name in pairs(TYPES) do
    it("names the methods of " .. class, function()
      local meta = debug.getregistry()[type_name]
      assert.is_table(meta, type_name)
      local exist = {}
      for name in pairs(meta.__index) do
        exist[name] = true
      end
      exist.close = nil -- every type has it
      methods[class].close = nil
      assert.equal("", missing(exist, methods[class]))
      assert.equal("", missing(methods[class], exist))
    end)
  end
end)
