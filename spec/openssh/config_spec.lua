-- SPDX-License-Identifier: MIT
-- Our reading of ssh_config against OpenSSH's own (`ssh -G`).
local config = require "arclua.openssh.config"
local core = require "arclua.core"
local ssh_g = require "ssh_g"

describe("ssh_config", function()
  local dir, env_home
  setup(function()
    dir = assert(core.sys.mkdtemp "arclua-spec-")
    env_home = core.sys.home()
  end)
  teardown(function()
    core.sys.remove(dir)
  end)

  local function write(text, name)
    local path = dir .. "/" .. (name or "config")
    assert(core.sys.write_file(path, text))
    return path
  end

  local function expand(path)
    return (path:gsub("^~/", env_home .. "/"))
  end

  local SWITCH = { [true] = "yes", [false] = "no" }

  local function same_lists(theirs, ours, hint)
    for i, identity in ipairs(ours.identityfile and theirs.identityfile or {}) do
      assert.equal(expand(identity), expand(ours.identityfile[i] or ""), hint)
    end
    assert.equal(#(theirs.certificatefile or {}), #(ours.certificatefile or {}), hint)
  end

  local function compare(text, host, user)
    local path = write(text)
    local theirs = assert(ssh_g(path, host, user))
    local ours = assert(assert(config.load(path)):of(host, { user = user }))
    local hint = ("%s\n-- %s"):format(text, host)
    same_lists(theirs, ours, hint)
    local plain = {
      user = user or ours.user or core.sys.user(), port = ("%d"):format(ours.port or 22),
      proxyjump = ours.proxyjump, hostkeyalias = ours.hostkeyalias,
      identitiesonly = SWITCH[ours.identitiesonly],
      serveraliveinterval = ours.serveraliveinterval
        and ("%d"):format(ours.serveraliveinterval),
    }
    for keyword, value in pairs(plain) do
      local answer = theirs[keyword] and theirs[keyword][1]
      assert.equal(answer or value == "none" and value, value, hint)
    end
    assert.equal(theirs.proxyjump == nil, (ours.proxyjump or "none") == "none", hint)
    return ours
  end

  local TEXTS = {
    ["first value wins"] = "User a\nHost web-01\n  User b\n  Port 2222\nHost *\n  Port 22\n",
    ["globs and negation"] = "Host web-* !web-01\n  User x\nHost w?b-0[1] web-0?\n  User y\n"
      .. "Host db,web\n User z\nHost !web-01 *\n  Port 9\n",
    ["several patterns, spaces, tabs"] = "\tHost  db-01\tweb-01  # a comment\n\tPort\t 2200 \r\n",
    ["the = forms"] = "Host=web-01\nUser=bob\nPort = 2022\nIdentityFile=\"~/a b\"\n"
      .. "ProxyJump= jump\n",
    ["letter case of keywords"] = "hOST web-01\n  uSER Bob\n  PORT 33\n  HOSTKEYALIAS Some.Alias\n",
    ["quotes and escapes"] = "Host 'web-01'\nIdentityFile \"/x/\\\"y\\\"\"\nIdentityFile '/a b'\n"
      .. "IdentityFile /c\\ d\nIdentityFile /e\"f g\"h\nCertificateFile \"/x/cert.pub\"\n",
    ["identity files add up, once each"] = "IdentityFile ~/.ssh/one\nHost web-01\n"
      .. "IdentityFile ~/.ssh/two\nHost *\nIdentityFile ~/.ssh/one\nIdentityFile ~/.ssh/three\n",
    ["tokens stay for later"] = "Host *\nIdentityFile ~/.ssh/%r@%h-%p\nHostKeyAlias k\n",
    ["proxy jump against proxy command"] = "Host web-01\nProxyCommand nc %h %p\nHost *\n"
      .. "ProxyJump a,b:22\n",
    ["no jump"] = "Host web-01\nProxyJump none\nHost *\nProxyJump x@y:2\n",
    ["jumps"] = "Host web-01\nProxyJump u@a:2200,b\n",
    ["match host"] = "Match host web-*,!web-02\n User m\nMatch host \"db-*\"\n User d\n",
    ["match user"] = "Match user root\n Port 1\nMatch user !root,*\n Port 2\n",
    ["match originalhost and the name"] = "Host web-01\nHostName real.example\n"
      .. "Match originalhost web-01 host real.*\nPort 7\nMatch host web-01\nPort 8\n",
    ["match all, negated, localuser"] = ("Match localuser %s !host db-*\nPort 5\nMatch all\n"
      .. "User all\n"):format(core.sys.user()),
    ["match with ="] = "Match host=web-01\nPort 44\n",
    ["unknown keywords do no harm"] = "IgnoreUnknown Fancy*\nFancyThing 1 2 3\nForwardX11 no\n"
      .. "User u\n",
    ["switches and times"] = "IdentitiesOnly yes\nServerAliveInterval 2m\nHost *\n"
      .. "IdentitiesOnly no\n",
    ["empty and odd lines"] = "\n\n   \n# User x\n  #y\nUser \"bob\" # him\nPort 7 # seven",
    ["nothing"] = "",
  }
  for name, text in pairs(TEXTS) do
    it("is read as ssh -G reads it: " .. name, function()
      for _, host in ipairs { "web-01", "web-02", "db-01" } do
        compare(text, host)
        compare(text, host, "root")
      end
    end)
  end

  it("includes files by globs, and what holds in them ends with them", function()
    assert(core.sys.mkdir(dir .. "/conf.d", 448))
    write("Host web-01\nUser inc\nHost db-01\n", "conf.d/10-a")
    write("IdentityFile /inc\n", "conf.d/20-b")
    write("User never\n", "conf.d/.hidden")
    local text = ("Host *\nInclude %s/conf.d/* %s/none*\nPort 77\n"):format(dir, dir)
    assert.equal("inc", compare(text, "web-01").user)
    assert.equal(77, compare(text, "db-01").port)
    assert.is_nil(compare(("Host db-01\nInclude %s/conf.d/*\n"):format(dir), "web-01").user)
  end)

  it("does not include without end", function()
    local path = write(("Include %s/config\n"):format(dir))
    local _, err = config.load(path)
    assert.equal("config", err.code)
    assert.matches("more than 16 deep", err.message, 1, true)
  end)

  it("runs nothing for Match exec, leaves its lines out and says so", function()
    local mark = dir .. "/ran"
    local path = write(("Match exec \"touch %s\"\nUser x\nMatch host db-01 exec true\nUser y\n"
      .. "Match all\nUser z\n"):format(mark))
    local said = {}
    local loaded = assert(config.load(path, function(level, text)
      said[#said + 1] = level .. " " .. text
    end))
    assert.equal("z", assert(loaded:of "web-01").user)
    assert.equal("z", assert(loaded:of "web-02").user)
    assert.is_nil(core.sys.stat(mark))
    assert.equal(1, #said)
    assert.matches("^info .*config:1: 'Match exec' is not evaluated", said[1])
  end)

  it("names file and line of what it cannot read", function()
    for text, why in pairs { ["\nPort x"] = ":2: port: a number from 1 to 65535 expected, got 'x'",
        ["Port 0"] = "port: ", ["User \"a"] = ":1: a quote is not closed",
        ["User"] = "user needs a value", ["IdentitiesOnly maybe"] = "yes or no",
        ["Match"] = "Match needs criteria", ["Match host"] = "needs an argument",
        ["StrictHostKeyChecking perhaps"] = "accept-new", ["a\0b"] = "not a text file",
        [("x"):rep(100000)] = "too long" } do
      local loaded, err = config.load(write(text))
      if loaded then
        loaded, err = loaded:of "h"
      end
      assert.is_nil(loaded)
      assert.equal("config", err.code)
      assert.matches(why, err.message, 1, true)
    end
    assert.equal("config", select(2, config.load(dir .. "/absent")).code)
    assert.equal("config", select(2, config.load(dir)).code)
  end)

  it("matches hostile patterns in bounded time", function()
    local loaded = assert(config.load(write("Host " .. ("*a"):rep(2000) .. "b\nUser x\n")))
    assert.is_nil(assert(loaded:of(("a"):rep(2000))).user)
  end)

  it("follows links, and refuses what others may write", function()
    local home = dir .. "/home"
    assert(core.sys.mkdir(home .. "/.ssh", 448))
    assert(core.sys.write_file(home .. "/real", "User linked\n"))
    assert(core.process.spawn { args = { "ln", "-s", "../real", home .. "/.ssh/config" } }):wait()
    local function user()
      local process <close> = assert(core.process.spawn { env = { HOME = home }, args = { "lua5.4",
        "-e", [[local c, err = require "arclua.openssh.config".load()
          io.write(c and c:of "h".user or tostring(err))]] } })
      local out <close> = process:stdout()
      return (require "harness".drain(out))
    end
    assert.equal("linked", user())
    assert(core.sys.chmod(home .. "/real", 438))
    assert.matches("bad owner or permissions", user(), 1, true)
  end)

  it("tells what is about a name from what is about all", function()
    local loaded = assert(config.load(write("User top\nHost *\nPort 1\nHost web-*\nUser w\n"
      .. "Match host web-01\nPort 2\nHost * !db-01\nHostName x\n")))
    local own = assert(loaded:of("web-01", { own = true }))
    assert.equal("w", own.user)
    assert.is_nil(own.port)
    assert.is_nil(own.hostname)
    assert.is_nil(assert(loaded:of("db-01", { own = true })).user)
  end)
end)

describe("ssh_config's tokens", function()
  local tokens = require "arclua.openssh.tokens"
  local OF = { host = "typed", hostname = "real", alias = "a.arc", port = 2200, user = "bob" }

  it("are replaced in file names", function()
    assert.equal("real-typed-a.arc-2200-bob-" .. core.sys.user() .. "-%",
      tokens.path("%h-%n-%k-%p-%r-%u-%%", OF))
    assert.equal(core.sys.home() .. "/x" .. core.sys.home(), tokens.path("~/x%d", OF))
    assert.equal(os.getenv "HOME" .. "/y", tokens.path("${HOME}/y", OF))
    assert.matches("^%S+$", tokens.path("%L", OF))
  end)

  it("that are unknown are refused", function()
    for _, text in ipairs { "%C", "%", "${NO_SUCH_VARIABLE_HERE}" } do
      assert.equal("config", select(2, tokens.path(text, OF)).code)
    end
  end)

  it("of HostName", function()
    assert.equal("web.example%", tokens.hostname("%h.example%%", "web"))
  end)
end)
