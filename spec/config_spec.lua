-- SPDX-License-Identifier: MIT
local config = require "arclua.config"

describe("config", function()
  it("reads keys, lists and comments", function()
    assert.same({ cloud = "usgov", subscription = { "a", "b" }, user = "ops" },
      config.parse("# mine\r\ncloud = usgov\nsubscription=a\nsubscription = b\n\n user = ops ",
        "f"))
  end)

  it("reads values as their flags do", function()
    assert.same({ parallel = 8, connect_timeout = 90, timeout = 0.5, deadline = 3600,
      retries = 0, output = "jsonl", color = "never", log_level = "debug" },
      config.parse("parallel = 8\nconnect-timeout = 1m30s\ntimeout = 500ms\ndeadline = 1h\n"
        .. "retries = 0\noutput = jsonl\ncolor = never\nlog_level = DEBUG\n", "f"))
  end)

  for text, why in pairs { ["clowd = x"] = "unknown key", ["cloud"] = "key = value",
    ["cloud ="] = "no value", ["cloud = a\ncloud = b"] = "twice",
    ["parallel = many"] = "'parallel': a number from 1 expected, got 'many'",
    ["timeout = soon"] = "a duration", ["retries = -1"] = "from 0", ["output = xml"] = "grouped",
    ["color = pink"] = "auto", ["log-level = loud"] = "trace" } do
    it("names the line of '" .. text:gsub("\n", "|") .. "'", function()
      local values, err = config.parse(text, "my.conf")
      assert.is_nil(values)
      assert.equal("config", err.code)
      assert.truthy(err.message:find("my.conf:%d: "))
      assert.truthy(err.message:find(why, 1, true))
    end)
  end

  it("says that a named file is absent, and takes none for nothing", function()
    local values, err = config.load "/nonexistent/arclua.conf"
    assert.is_nil(values)
    assert.equal("notfound", err.code)
    assert.same({}, config.load "none")
  end)
end)
