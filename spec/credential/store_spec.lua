-- SPDX-License-Identifier: MIT
-- The file of stored sign-ins: what it holds, who may read it, writers at the same time.
local core = require "arclua.core"
local harness = require "harness"
local program = require "program"

local store = core.store

describe("the store of sign-ins", function()
  local dir

  before_each(function()
    dir = assert(core.sys.mkdtemp "arclua-store") .. "/state"
  end)

  after_each(function()
    core.sys.remove((dir:gsub("/state$", "")))
    assert.equal("", harness.leftovers())
  end)

  local function put(id, secret, make_default)
    return store.put(dir, id, { username = id .. "@contoso.test" }, core.secret(secret),
      make_default)
  end

  local function text()
    return assert(core.sys.read_file(dir .. "/tokens.json", 100000))
  end

  it("is empty before the first", function()
    assert.same({ accounts = {} }, store.read(dir))
    assert.is_nil(store.secret(dir, "a"))
    assert.is_false(store.remove(dir, "a"))
    assert.is_false(store.choose(dir, "a"))
    assert.is_false(store.renew(dir, "a", core.secret "x"))
    assert.is_nil(core.sys.stat(dir))
  end)

  it("keeps accounts; the secret comes back as a Secret alone", function()
    assert.is_true(put("a", "first-secret"))
    assert.is_true(put("b", "second"))
    local all = assert(store.read(dir))
    table.sort(all.accounts, function(x, y) return x.id < y.id end)
    assert.same({ default = "a", accounts = { { id = "a", username = "a@contoso.test" },
      { id = "b", username = "b@contoso.test" } } }, all)
    assert.equal("<redacted>", tostring(store.secret(dir, "a")))
    assert.truthy(text():find("first-secret", 1, true))
  end)

  it("is a file and a directory of its owner alone", function()
    assert(put("a", "s"))
    assert.equal(448, core.sys.stat(dir).mode & 511)
    assert.equal(384, core.sys.stat(dir .. "/tokens.json").mode & 511)
    assert.equal(384, core.sys.stat(dir .. "/tokens.lock").mode & 511)
  end)

  it("chooses, renews, removes", function()
    assert(put("a", "s1"))
    assert(put("b", "s2"))
    assert.is_true(store.choose(dir, "b"))
    assert.equal("b", store.read(dir).default)
    assert.is_true(store.renew(dir, "a", core.secret "s3"))
    assert.truthy(text():find('"s3"', 1, true))
    assert.is_nil(text():find('"s1"', 1, true))
    assert.is_true(store.remove(dir, "a"))
    assert.is_false(store.remove(dir, "a"))
    assert.is_true(store.remove(dir, "b"))
    assert.same({ accounts = {} }, store.read(dir))
    assert.is_false(store.renew(dir, "a", core.secret "s4"))
    assert(put("c", "s5", true))
    assert.equal("c", store.read(dir).default)
  end)

  it("follows no link and refuses what others may read, write or have damaged", function()
    local function refused(code)
      local all, err = store.read(dir)
      assert.is_nil(all)
      assert.equal(code, err.code)
      local ok, why = put("z", "s")
      assert.is_nil(ok)
      assert.equal(code, why.code)
    end
    assert(put("a", "s"))
    assert(core.sys.chmod(dir .. "/tokens.json", 416))
    refused "config"
    assert(core.sys.chmod(dir .. "/tokens.json", 384))
    assert(core.sys.chmod(dir, 511))
    refused "config"
    assert(core.sys.chmod(dir, 448))
    for _, bad in ipairs { "{", "[]", '{"version":2,"accounts":{}}',
      '{"version":1,"accounts":{"a":5}}', '{"version":1,"accounts":{"a":{"secret":5}}}',
      '{"version":1,"accounts":{"a":{"sealed":"a\\u0000"}}}' } do
      assert(core.sys.write_file(dir .. "/tokens.json", bad))
      refused "config"
    end
    assert(core.sys.remove(dir .. "/tokens.json"))
    assert(os.execute(("ln -s /etc/passwd '%s/tokens.json'"):format(dir)))
    local all, err = store.read(dir)
    assert.is_nil(all)
    assert.equal("table", type(err))
    os.execute(("mv '%s' '%s.real' && ln -s state.real '%s'"):format(dir, dir, dir))
    all = store.read(dir)
    assert.is_nil(all)
    local ok = put("a", "s")
    assert.is_nil(ok)
  end)

  it("keeps an account that has no secret", function()
    assert.is_true(store.put(dir, "a", { kind = "identity" }, nil, true))
    local secret, err = store.secret(dir, "a")
    assert.is_nil(secret)
    assert.is_nil(err)
    assert.is_nil(text():find("secret", 1, true))
  end)

  it("encrypts with a key, for one account and no other", function()
    local key, other = core.secret(("k"):rep(32)), core.secret(("o"):rep(32))
    assert.is_true(store.put(dir, "a", { username = "u" }, core.secret "first", true, key))
    assert.is_nil(text():find("first", 1, true))
    assert.is_true(store.read(dir).accounts[1].sealed)
    assert.is_nil(store.read(dir).accounts[1].secret)
    assert.is_true(core.crypto.equal(store.secret(dir, "a", key), "first"))
    for _, wrong in ipairs { false, other } do
      local secret, err = store.secret(dir, "a", wrong or nil)
      assert.is_nil(secret)
      assert.equal("cred.locked", err.reason)
    end
    local before = text():match '"sealed": "([^"]+)"'
    assert.is_true(store.renew(dir, "a", core.secret "second", key))
    assert.is_true(core.crypto.equal(store.secret(dir, "a", key), "second"))
    local stolen = text():gsub('"sealed": "([^"]+)"', '"sealed": "' .. before .. '"')
    assert(core.sys.write_file(dir .. "/tokens.json", (stolen:gsub('"a": {', '"b": {')), 384))
    assert.equal("cred.locked", select(2, store.secret(dir, "b", key)).reason)
    for _, junk in ipairs { "", "AAAA", "!", before:sub(1, -5), "B" .. before:sub(2) } do
      assert(core.sys.write_file(dir .. "/tokens.json", (stolen:gsub('"sealed": "[^"]+"',
        '"sealed": "' .. junk .. '"')), 384))
      assert.equal("cred.locked", select(2, store.secret(dir, "a", key)).reason, junk)
    end
    assert.has_error(function() store.secret(dir, "a", core.secret "short") end)
    assert.is_true(store.put(dir, "a", {}, core.secret "plain", true))
    assert.truthy(text():find("plain", 1, true))
    assert.is_nil(text():find("sealed", 1, true))
  end)

  it("refuses what is no text", function()
    local ok, err = put("a", "\255\254")
    assert.is_nil(ok)
    assert.equal("config", err.code)
    assert.has_error(function() put("a", "a\0b") end)
    assert.has_error(function() store.put(dir, "a", { x = 1 }, core.secret "s") end)
    assert.has_error(function() store.put(dir, "a", { x = "\255" }, core.secret "s") end)
  end)

  it("loses nothing when processes write at once", function()
    local script = [[
      local core = require "arclua.core"
      local dir, name = arg[1], arg[2]
      for i = 1, 10 do
        local ok, err
        repeat
          ok, err = core.store.put(dir, name .. i, {}, core.secret("s" .. i))
          if not ok and err.code ~= "conflict" then error(err.message) end
          if not ok then core.sleep(0.001) end
        until ok
      end]]
    local path = (dir:gsub("/state$", "/write.lua"))
    assert(core.sys.write_file(path, script))
    local writers = {}
    for i = 1, 4 do
      writers[i] = program.start { "run", path, dir, "w" .. i .. "-" }
    end
    for _, writer in ipairs(writers) do
      local ended = writer:wait()
      assert.equal(0, ended.status, ended.err)
    end
    assert.equal(40, #store.read(dir).accounts)
  end)

  it("says that another process is writing", function()
    assert(put("a", "s"))
    local process <close> = assert(core.process.spawn { stdin = "pipe",
      args = { "flock", dir .. "/tokens.lock", "sh", "-c", "echo locked; read x" } })
    assert.equal("locked\n", process:stdout():read())
    local ok, err = put("b", "s")
    assert.is_nil(ok)
    assert.equal("conflict", err.code)
    assert.equal(1, #store.read(dir).accounts)
  end)
end)
