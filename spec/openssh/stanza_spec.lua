-- SPDX-License-Identifier: MIT
-- What we write for OpenSSH is what OpenSSH reads.
local core = require "arclua.core"
local dice = require "stanza_dice"
local ends = require("harness").ends
local ssh_g = require "ssh_g"
local stanza = require "arclua.openssh.stanza"

describe("ssh_config as written", function()
  local dir
  setup(function()
    dir = assert(core.sys.mkdtemp "arclua-spec-")
  end)
  teardown(function()
    core.sys.remove(dir)
  end)

  local function read_back(line, keyword)
    local path = dir .. "/config"
    assert(core.sys.write_file(path, line .. "\n"))
    return assert(ssh_g(path, "host"))[keyword][1]
  end

  for _, text in ipairs { "ops", "two words", [[DOMAIN\user]], [[a\\b]], [[end\]], [[a"b]],
      [[a\"b]], "it's", "#hash", "a=b", "=a", "\"", "ä", "user@example.com" } do
    ends("User " .. text, function()
      assert.equal(text, read_back(assert(stanza.user(text)), "user"))
    end)
  end

  ends("a path with percent signs, blanks and quotes", function()
    local path = [[/home/o'neil/100% "sure"/%h key]]
    assert.equal((path:gsub("%%", "%%%%")),
      read_back(assert(stanza.path("IdentityFile", path)), "identityfile"))
  end)

  it("refuses what no line can say, by name", function()
    for keyword, text in pairs { User = "a\nHost *", IdentityFile = "/a\rb",
        CertificateFile = "" } do
      local line, err = stanza.plain(keyword, text)
      assert.is_nil(line)
      assert.equal("config", err.code)
      assert.matches(keyword, err.message, 1, true)
    end
    for _, text in ipairs { "100%", "${HOME}" } do
      assert.equal("config", select(2, stanza.user(text)).code)
    end
    assert.equal("config", select(2, stanza.path("IdentityFile", "/a/${X}")).code)
    assert.equal("config", select(2, stanza.command("ProxyCommand", { "a\nb" })).code)
  end)

  it("knows the names that a Host line takes as they are", function()
    for name, fits in pairs { ["rg-web_01.x"] = true, ["a b"] = false, ["web*"] = false,
        ["!a"] = false, ["a,b"] = false, ['a"'] = false, ["-o"] = false, [""] = false } do
      assert.equal(fits, stanza.is_host(name), name)
    end
  end)

  ends("by chance (seed in the message)", function()
    local seed = os.time()
    math.randomseed(seed)
    local written = 0
    for _ = 1, 300 do
      local ok, fine = pcall(dice.throw, dir .. "/config")
      if not ok then
        error(("seed %d: %s"):format(seed, fine), 0)
      end
      written = written + (fine and 1 or 0)
    end
    assert.is_true(written > 20)
  end)
end)
