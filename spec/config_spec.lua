-- SPDX-License-Identifier: MIT
local config = require "arclua.config"

describe("config", function()
  it("reads keys, lists and comments", function()
    assert.same({ cloud = "usgov", subscription = { "a", "b" }, user = "ops" },
      config.parse("# mine\r\ncloud = usgov\nsubscription=a\nsubscription = b\n\n user = ops ",
        "f"))
  end)

  for text, why in pairs { ["clowd = x"] = "unknown key", ["cloud"] = "key = value",
    ["cloud ="] = "no value", ["cloud = a\ncloud = b"] = "twice" } do
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
