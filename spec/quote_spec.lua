-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local quote = require "arclua.quote"

-- What a shell makes of a line: its words, each ended by a NUL.
local function words_of(line)
  local file = assert(io.popen("set -- " .. line .. [[; printf '%s\0' "$@"]], "r"))
  local text = file:read "a"
  file:close()
  local out = {}
  for word in text:gmatch "([^%z]*)%z" do
    out[#out + 1] = word
  end
  return out
end

describe("quote", function()
  it("leaves one word alone: it is a shell line", function()
    assert.equal("df -h | tail -1", quote.line { "df -h | tail -1" })
    assert.equal("a; b", quote.line "a; b")
  end)

  it("gets several words through a real shell as written", function()
    local words = { "a b", "it's", "$HOME", "`id`", "", "*", "a\nb", "\\", '"', "~", "-n", "!x",
      "é", "a=b;c" }
    assert.same(words, words_of(quote.line(words)))
  end)

  it("quotes for PowerShell, with parameters bare", function()
    local script = quote.powershell_script { "Get-Item", "-Path", "it's", "$x", "100%d", "-1" }
    assert.truthy(script:find("& 'Get-Item' -Path 'it''s' '$x' '100%d' '-1';", 1, true), script)
  end)

  it("gives Windows a line that no shell finds anything in", function()
    local line = quote.line({ "a", "b \"c\" %PATH% $x & \u{1F600}" }, "windows")
    local code = line:match "^powershell [%-%a ]+ %-EncodedCommand ([%w+/=]+)$"
    local script = core.crypto.unbase64(code)
    assert.truthy(script:find(("& 'a' 'b"):gsub(".", "%0\0"), 1, true))
    assert.truthy(script:find("\x3D\xD8\x00\xDE", 1, true))
    assert.equal("dir & ver", quote.line({ "dir & ver" }, "windows"))
  end)

  it("wraps for sudo and variables", function()
    assert.equal("ls", quote.wrap("ls", {}))
    assert.equal("sudo -n -- sh -c 'a b'", quote.wrap("a b", { sudo = true }))
    local line = quote.wrap("printf '%s' \"$A$B\"", { env = { B = "2'", A = "x y" } })
    local file = assert(io.popen(line, "r"))
    assert.equal("x y2'", file:read "a")
    file:close()
  end)

  it("names the option that is for POSIX only", function()
    assert.equal("--sudo", quote.posix_only { sudo = true })
    assert.equal("--env", quote.posix_only { env = { A = "1" } })
    assert.is_nil(quote.posix_only { env = {} })
  end)

  it("reads NAME=VALUE", function()
    assert.same({ "A", "b=c" }, { quote.assignment "A=b=c" })
    local name, err = quote.assignment "1=x"
    assert.is_nil(name)
    assert.equal("config", err.code)
  end)
end)
