-- SPDX-License-Identifier: MIT
-- Files of relay credentials: what they hold, who may read them, what is passed over.
local core = require "arclua.core"

local cache = core.relaycache

local TEXT = [[{"relay":{"namespaceName":"ns","namespaceNameSuffix":"servicebus.test:8443",
  "hybridConnectionName":"a/b/1","accessKey":"SharedAccessSignature sr=x","expiresOn":1790003600,
  "serviceConfigurationToken":"tok"}}]]

local KEY = "cloud\ntenant principal\n/subscriptions/s/x\n22"

describe("kept relay credentials", function()
  local dir, info

  before_each(function()
    dir = assert(core.sys.mkdtemp "arclua-cache") .. "/relay"
    info = assert(core.relayinfo(TEXT))
  end)

  after_each(function()
    core.sys.remove((dir:gsub("/relay$", "")))
    info:close()
  end)

  local function file()
    return dir .. "/" .. assert(core.sys.list(dir))[1]
  end

  -- That nothing can be used: its error's code, "" when there is simply nothing.
  local function passed_over(key)
    local kept, err = cache.read(dir, key or KEY)
    assert.is_nil(kept)
    return err and err.code or ""
  end

  it("come back as they were, as userdata", function()
    assert.is_true(cache.write(dir, KEY, info, 2222))
    local kept, port = cache.read(dir, KEY)
    assert.equal(2222, port)
    assert.equal("<redacted>", tostring(kept))
    assert.equal("ns.servicebus.test:8443", kept:host())
    assert.equal("a/b/1", kept:path())
    assert.equal(1790003600, kept:expires_on())
    local text = assert(core.sys.read_file(file(), 10000))
    assert.truthy(text:find('"serviceConfigurationToken":"tok"', 1, true))
    assert.truthy(text:find('"accessKey":"SharedAccessSignature sr=x"', 1, true))
  end)

  it("are their owner's alone, and leave nothing else behind", function()
    assert(cache.write(dir, KEY, info, 22))
    assert(cache.write(dir, KEY, info, 23))
    assert.equal(448, core.sys.stat(dir).mode & 511)
    assert.equal(384, core.sys.stat(file()).mode & 511)
    assert.equal(1, #core.sys.list(dir))
    assert.truthy(file():match "/%x+$" and #file() == #dir + 65)
    assert.equal(23, select(2, cache.read(dir, KEY)))
  end)

  it("are nothing where nothing is", function()
    assert.equal("", passed_over())
    assert.is_true(cache.remove(dir, KEY))
    assert.is_true(cache.prune(dir, 0))
    assert.is_nil(core.sys.stat(dir))
    assert(cache.write(dir, KEY, info, 22))
    assert.equal("", passed_over(KEY .. "x"))
    assert.is_true(cache.remove(dir, KEY))
    assert.equal("", passed_over())
  end)

  it("are passed over when damaged, huge, or somebody else's", function()
    assert(cache.write(dir, KEY, info, 22))
    local path, good = file(), core.sys.read_file(file(), 10000)
    for _, text in ipairs { "{", "[]", "null", good:sub(1, -5), good:gsub("22", "0"),
      good:gsub('"version":1', '"version":2'), good:gsub("principal", "another"),
      good:gsub("SharedAccess", "\\r\\nEvil: "), good:gsub('"ns"', '"n/s"'),
      good:gsub("1790003600", '"soon"'):gsub('"relay"', '"really"') } do
      assert(core.sys.write_file(path, text, 384))
      assert.not_equal("", passed_over(), text)
    end
    assert(core.sys.write_file(path, (" "):rep(70000) .. good, 384))
    assert.not_equal("", passed_over())
    assert(core.sys.write_file(path, "", 384))
    assert.equal("", passed_over())
    assert(core.sys.write_file(path, good, 420))
    assert.equal("config", passed_over())
    core.sys.chmod(path, 384)
    assert.truthy((cache.read(dir, KEY)))
    if core.sys.getuid() == 0 then
      core.sys.chown(path, 65534, 65534)
      assert.equal("config", passed_over())
      core.sys.chown(path, 0, 0)
      core.sys.chown(dir, 65534, 65534)
      assert.equal("config", passed_over())
      assert.is_nil((cache.write(dir, KEY, info, 22)))
      core.sys.chown(dir, 0, 0)
    end
    core.sys.chmod(dir, 511)
    assert.equal("config", passed_over())
    assert.is_nil((cache.write(dir, KEY, info, 22)))
    core.sys.chmod(dir, 448)
  end)

  it("follow no symbolic link, and wait for no pipe", function()
    assert(cache.write(dir, KEY, info, 22))
    local path = file()
    os.rename(path, path .. ".real")
    os.execute(("ln -s '%s.real' '%s'"):format(path, path))
    assert.not_equal("", passed_over())
    -- A new one takes the link's place, and leaves what it names alone.
    assert(cache.write(dir, KEY, info, 23))
    assert.equal("file", core.sys.stat(path).type)
    assert.truthy(core.sys.read_file(path .. ".real", 10000):find('"port":22', 1, true))
    os.remove(path)
    os.execute(("mkfifo -m 600 '%s'"):format(path))
    assert.not_equal("", passed_over())
    os.rename(dir, dir .. "2")
    os.execute(("ln -s '%s2' '%s'"):format(dir, dir))
    assert.not_equal("", passed_over())
    assert.is_nil((cache.write(dir, KEY, info, 22)))
  end)

  it("are removed when they are old", function()
    assert(cache.write(dir, KEY, info, 22))
    assert(cache.write(dir, "other", info, 22))
    os.execute(("touch -d '4 hours ago' '%s'"):format(file()))
    assert.is_true(cache.prune(dir, 10800))
    assert.equal(1, #core.sys.list(dir))
  end)

  it("must have an expiry and a port", function()
    local endless = assert(core.relayinfo((TEXT:gsub('"expiresOn":%d+,', ""))))
    assert.has_error(function() cache.write(dir, KEY, endless, 22) end)
    assert.has_error(function() cache.write(dir, KEY, info, 0) end)
    assert.has_error(function() cache.prune(dir, -1) end)
  end)
end)
