-- SPDX-License-Identifier: MIT
-- Copies over one session: files and trees, both ways, and all that may be in the way.
local core = require "arclua.core"
local harness = require "harness"
local session_type = require "arclua.session"
local sshlab = require "sshlab"

local both = harness.both
local SFTP = { "Subsystem=sftp internal-sftp" }

describe("a copy", function()
  local lab
  local number = 0
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  -- fn(session, dir), with a directory of its own; here and there are the same computer.
  local function with(fn, settings)
    return function()
      lab:with(function(session)
        number = number + 1
        local dir = lab:path("work" .. number)
        assert(core.sys.mkdir(dir, 448))
        fn(session_type.extend(session), dir)
        assert(core.sys.remove(dir))
      end, nil, settings or SFTP)
    end
  end

  local function sh(format, ...)
    local pipe = assert(io.popen(format:format(...) .. " 2>&1"))
    local text = pipe:read "a"
    assert(pipe:close(), text)
    return text
  end

  local function put(path, text, mode)
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
    assert(core.sys.chmod(path, mode or 420))
  end

  local get = core.sys.read_file

  -- No temporary file is left below a directory.
  local function no_leftovers(dir)
    assert.equal("", sh("find %s -name '.*arclua*'", dir))
  end

  local function tree(dir)
    sh("mkdir -p %s/src/a/b %s/src/empty && cd %s/src && ln -s a/b link", dir, dir, dir)
    put(dir .. "/src/one", "1")
    put(dir .. "/src/a/two\nlines", "22")
    put(dir .. "/src/a/b/three", core.crypto.random(100000), 384)
    put(dir .. "/src/a/b/empty", "")
    sh("touch -d @1000000000 %s/src/one %s/src/a", dir, dir)
  end

  both("of a file goes where it should", with(function(s, dir)
    put(dir .. "/f", "text", 416)
    assert(core.sys.mkdir(dir .. "/d", 493))
    for target, where in pairs { ["/g"] = "/g", ["/d"] = "/d/f", ["/new/"] = "/new/f",
      ["/d/h"] = "/d/h" } do
      local outcome = assert(s:upload(dir .. "/f", dir .. target))
      assert.same({ 1, 4 }, { outcome.files, outcome.bytes })
      assert.equal("text", get(dir .. where))
      assert.equal(416, core.sys.stat(dir .. where).mode)
    end
    for target, where in pairs { ["/g2"] = "/g2", ["/d/"] = "/d/g", ["/new2/"] = "/new2/g" } do
      assert(s:download(dir .. "/g", dir .. target))
      assert.equal("text", get(dir .. where))
    end
    no_leftovers(dir)
  end))

  both("replaces a file, and keeps its mode", with(function(s, dir)
    put(dir .. "/f", "new", 420)
    put(dir .. "/g", "old and longer", 384)
    assert(s:upload(dir .. "/f", dir .. "/g"))
    assert.same({ "new", 384 }, { get(dir .. "/g"), core.sys.stat(dir .. "/g").mode })
    put(dir .. "/h", "old", 256)
    assert(s:download(dir .. "/f", dir .. "/h"))
    assert.same({ "new", 256 }, { get(dir .. "/h"), core.sys.stat(dir .. "/h").mode })
    assert(s:download(dir .. "/f", dir .. "/h", { preserve = true }))
    assert.equal(420, core.sys.stat(dir .. "/h").mode)
  end))

  both("of trees is the same on both sides", with(function(s, dir)
    tree(dir)
    local outcome = assert(s:upload(dir .. "/src", dir .. "/up", { recursive = true }))
    assert.same({ 5, 100003, 0, 0 },
      { outcome.files, outcome.bytes, outcome.same, outcome.failed })
    sh("diff -r --no-dereference %s/src %s/up", dir, dir)
    assert(s:download(dir .. "/up", dir .. "/down/", { recursive = true }))
    sh("diff -r --no-dereference %s/src %s/down/up", dir, dir)
    -- Into what is there, and what is in it.
    put(dir .. "/up/a/b/more", "x")
    assert(s:upload(dir .. "/src/.", dir .. "/up", { recursive = true }))
    assert.is_nil(core.sys.stat(dir .. "/up/src"))
    assert(s:upload(dir .. "/src", dir .. "/up", { recursive = true }))
    sh("diff -r --no-dereference %s/src %s/up/src", dir, dir)
    no_leftovers(dir)
  end))

  both("keeps times and modes when asked", with(function(s, dir)
    tree(dir)
    for _, way in ipairs { { "upload", "/src", "/up" }, { "download", "/up", "/down" } } do
      assert(s[way[1]](s, dir .. way[2], dir .. way[3], { recursive = true, preserve = true }))
      assert.equal(1000000000, core.sys.stat(dir .. way[3] .. "/one").mtime)
      assert.equal(1000000000, core.sys.stat(dir .. way[3] .. "/a").mtime)
        assert.equal(384, core.sys.stat(dir .. way[3] .. "/a/b/three").mode)
    end
    sh("touch -d 1960-01-01 %s/src/one", dir) -- before SFTP's time
    assert(s:upload(dir .. "/src/one", dir .. "/old", { preserve = true }))
    assert.equal(0, core.sys.stat(dir .. "/old").mtime)
  end))

  both("leaves alone what is there", with(function(s, dir)
    tree(dir)
    local opts = { recursive = true, resume = true }
    assert(s:upload(dir .. "/src", dir .. "/up", opts))
    local outcome = assert(s:upload(dir .. "/src/.", dir .. "/up", opts))
    assert.same({ 0, 5 }, { outcome.files, outcome.same })
    put(dir .. "/src/one", "2")
    sh("touch -d '+1 day' %s/src/one", dir)
    outcome = assert(s:upload(dir .. "/src/.", dir .. "/up", opts))
    assert.same({ 1, 4 }, { outcome.files, outcome.same })
    assert.equal("2", get(dir .. "/up/one"))
    outcome = assert(s:download(dir .. "/up/.", dir .. "/src", { recursive = true,
      checksum = true }))
    assert.same({ 0, 5 }, { outcome.files, outcome.same })
    put(dir .. "/src/a/b/three", ("y"):rep(100000))
    outcome = assert(s:download(dir .. "/up/.", dir .. "/src", { recursive = true,
      checksum = true }))
    assert.same({ 1, 4 }, { outcome.files, outcome.same })
    sh("diff -r --no-dereference %s/src %s/up", dir, dir)
  end))

  both("goes on where it was interrupted", with(function(s, dir)
    local text = core.crypto.random(1000000):rep(12)
    put(dir .. "/f", text)
    for _, way in ipairs { { "upload", "/f", "/g" }, { "download", "/f", "/h" } } do
      local opts = { resume = true, limit_rate = 20e6 }
      local done, err = core.timeout(0.4, s[way[1]], s, dir .. way[2], dir .. way[3], opts)
      assert.is_nil(done)
      assert.equal("timeout", err.code)
      assert.is_nil(core.sys.stat(dir .. way[3]))
      local part = sh("find %s -name '.*arclua-part*' -printf %%s", dir)
      assert.is_true(tonumber(part) > 4.5e6, part)
      local began = core.now()
      assert(s[way[1]](s, dir .. way[2], dir .. way[3], opts))
      assert.is_true(core.now() - began < 0.55) -- the whole takes 0.6 s
      assert.is_true(get(dir .. way[3]) == text)
      no_leftovers(dir)
    end
  end))

  both("leaves nothing when it is interrupted", with(function(s, dir)
    put(dir .. "/f", ("x"):rep(3000000))
    for _, way in ipairs { { "upload", "/f", "/g" }, { "download", "/f", "/h" } } do
      put(dir .. way[3], "old")
      local task = core.spawn(s[way[1]], s, dir .. way[2], dir .. way[3], { limit_rate = 1e6 })
      core.sleep(0.15)
      task:cancel()
      local done, err = task:await()
      assert.is_nil(done)
      assert.equal("cancelled", err.code)
      no_leftovers(dir)
      assert.equal("old", get(dir .. way[3]))
    end
  end))

  both("leaves out what is excluded", with(function(s, dir)
    tree(dir)
    sh("cd %s/src && mkdir -p .git/x cache && touch .git/x/y cache/z a/b/t.log u.log", dir)
    local outcome = assert(s:upload(dir .. "/src", dir .. "/up", { recursive = true,
      exclude = { "*.log", ".git/", "a/b/three", "cache/*" } }))
    assert.equal(0, outcome.failed)
    local names = {}
    for name in sh("cd %s/up && find . -type f -print0", dir):gmatch "%Z+" do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.same({ "./a/b/empty", "./a/two\nlines", "./one" }, names)
    assert.equal("directory", core.sys.stat(dir .. "/up/cache").type)
    local _, err = s:upload(dir .. "/src", dir .. "/up", { exclude = "[x" })
    assert.equal("config", err.code)
  end))

  both("treats links as it is told", with(function(s, dir)
    tree(dir)
    sh("cd %s/src && ln -s one file && ln -s nowhere broken && ln -s .. up && ln -s /etc abs", dir)
    assert(s:upload(dir .. "/src", dir .. "/copy", { recursive = true }))
    assert.equal("/etc", sh("readlink %s/copy/abs", dir):sub(1, -2))
    local outcome = assert(s:upload(dir .. "/src", dir .. "/skip", { recursive = true,
      symlinks = "skip" }))
    assert.equal(4, outcome.files)
    assert.equal("", sh("find %s/skip -type l", dir))
    sh("rm %s/src/abs", dir)
    local _, err, more = s:upload(dir .. "/src", dir .. "/follow", { recursive = true,
      symlinks = "follow" })
    assert.equal("copy.failed", err.reason)
    assert.equal("1", get(dir .. "/follow/file"))
    assert.equal("file", core.sys.stat(dir .. "/follow/file").type)
    assert.equal("directory", core.sys.stat(dir .. "/follow/link").type)
    local reasons = {}
    for _, failure in ipairs(more.failures) do
      reasons[failure.path] = failure.err.reason or failure.err.code
    end
    assert.same({ ["src/broken"] = "notfound", ["src/up"] = "copy.loop" }, reasons)
    -- From a machine no link may lead out.
    _, err, more = s:download(dir .. "/copy", dir .. "/down", { recursive = true })
    assert.equal("copy.failed", err.reason)
    reasons = {}
    for _, failure in ipairs(more.failures) do
      reasons[failure.path] = failure.err.reason
    end
    assert.same({ ["copy/up"] = "copy.unsafe-link", ["copy/abs"] = "copy.unsafe-link" }, reasons)
    assert.equal("a/b", sh("readlink %s/down/link", dir):sub(1, -2))
  end))

  both("never passes through a link of the target", with(function(s, dir)
    tree(dir)
    assert(core.sys.mkdir(dir .. "/outside", 448))
    for _, way in ipairs { "upload", "download" } do
      sh("mkdir -p %s/%s/src && ln -s ../../outside %s/%s/src/a", dir, way, dir, way)
      local _, err, more = s[way](s, dir .. "/src", dir .. "/" .. way, { recursive = true })
      assert.equal("copy.through-link", err.reason)
      assert.equal(1, more.failed)
      assert.equal("", sh("ls %s/outside", dir))
      assert.equal("1", get(dir .. "/" .. way .. "/src/one"))
    end
    -- But where the user says so.
    sh("ln -s outside %s/door && ln -s outside/g %s/name && touch %s/outside/g", dir, dir, dir)
    assert(s:upload(dir .. "/src/one", dir .. "/door"))
    assert(s:download(dir .. "/src/a/b/three", dir .. "/door/"))
    assert(s:upload(dir .. "/src/one", dir .. "/name"))
    assert.equal("g\none\nthree\n", sh("ls %s/outside", dir))
    assert.equal("1", get(dir .. "/outside/g"))
    assert(s:download(dir .. "/src/a/b/empty", dir .. "/name"))
    assert.equal("", get(dir .. "/outside/g"))
    assert.equal("link", core.sys.stat(dir .. "/name").type)
  end))

  both("says what is in the way", with(function(s, dir)
    tree(dir)
    assert(core.sys.mkdir(dir .. "/d/one", 493))
    put(dir .. "/d/src", "a file")
    for _, case in ipairs {
      { "/none", "/x", "notfound" }, { "/src", "/x", "copy.is-directory" },
      { "/src/one", "/d", "copy.is-directory" }, { "/src", "/d", "copy.is-file", true },
      { "/src/one", "/src/one/", "copy.is-file" }, { "/src/one", "/no/such/dir", "notfound" },
      { { "/src/one", "/src/a" }, "/x", "copy.no-directory" },
    } do
      for _, way in ipairs { "upload", "download" } do
        local sources = type(case[1]) == "table" and case[1] or { case[1] }
        local full = {}
        for i, source in ipairs(sources) do
          full[i] = dir .. source
        end
        local done, err = s[way](s, full, dir .. case[2], { recursive = case[4] })
        assert.is_nil(done)
        assert.equal(case[3]:find "%." and case[3] or case[3],
          case[3]:find "%." and err.reason or err.code, way .. tostring(case[2]) .. tostring(err))
      end
    end
    for _, path in ipairs { "/dev/null", "/dev/tty" } do
      local _, err = s:upload(path, dir .. "/x")
      assert.equal("copy.not-regular", err.reason)
      _, err = s:download(path, dir .. "/x")
      assert.equal("copy.not-regular", err.reason)
    end
    sh("mkfifo %s/fifo %s/src/fifo", dir, dir)
    local _, err = s:upload(dir .. "/fifo", dir .. "/x")
    assert.equal("copy.not-regular", err.reason)
    local outcome = assert(s:upload(dir .. "/src", dir .. "/y", { recursive = true }))
    assert.same({ 1, "src/fifo: left out: no regular file" },
      { outcome.skipped, outcome.notes[1] })
    assert.error(function() s:upload(dir, dir, { unknown = 1 }) end)
    assert.error(function() s:upload(dir, dir, { symlinks = "x" }) end)
    assert.error(function() s:upload(dir, dir, { limit_rate = 0 }) end)
  end))

  both("has one target for each source", with(function(s, dir)
    sh("cd %s && mkdir -p a b c && echo 1 > a/x && echo 2 > b/x && touch a/y b/z", dir)
    for _, way in ipairs { "upload", "download" } do
      local _, err, more = s[way](s, { dir .. "/a/x", dir .. "/b/x", dir .. "/b/z" }, dir .. "/c/")
      assert.equal("copy.one-target", err.reason)
      assert.same({ 2, 1 }, { more.files, more.failed })
      assert.equal("1\n", get(dir .. "/c/x"))
      -- But what is in directories may be brought together.
      assert(s[way](s, { dir .. "/a/.", dir .. "/b/." }, dir .. "/c/", { recursive = true }))
      assert.equal("x\ny\nz\n", sh("ls %s/c", dir))
    end
  end))

  both("expands globs on the machine", with(function(s, dir)
    sh("cd %s && mkdir -p l/x l/y && touch l/x/a.log l/x/b.log l/y/c.log l/.h.log 'l/[z]'", dir)
    assert(s:download(dir .. "/l/*/[ab].log", dir .. "/to/"))
    assert.equal("a.log\nb.log\n", sh("ls -A %s/to", dir))
    assert(s:download(dir .. "/l/[z]", dir .. "/to/"))
    assert.equal("file", core.sys.stat(dir .. "/to/[z]").type)
    local _, err = s:download(dir .. "/l/*.log", dir .. "/to/")
    assert.equal("sftp.not-found", err.reason)
    assert(s:download({ dir .. "/l/.h*", dir .. "/l/*/c.log" }, dir .. "/to2/"))
    assert.equal(".h.log\nc.log\n", sh("ls -A %s/to2", dir))
  end))

  both("reads files without a size", with(function(s, dir)
    assert(s:download("/proc/self/mounts", dir .. "/m"))
    assert.is_true(#get(dir .. "/m") > 10)
    assert(s:upload("/proc/self/mounts", dir .. "/n"))
    assert.is_true(#get(dir .. "/n") > 10)
  end))

  both("copies long names and odd ones", with(function(s, dir)
    assert(core.sys.mkdir(dir .. "/src", 493))
    for _, name in ipairs { ("ü"):rep(127), "-rf", "a b'c\"d$e", "\xff\xfe", "%n", "~" } do
      put(dir .. "/src/" .. name, name)
    end
    assert(s:upload(dir .. "/src", dir .. "/up", { recursive = true, checksum = true }))
    assert(s:download(dir .. "/up", dir .. "/down", { recursive = true, checksum = true }))
    sh("diff -r %s/src %s/down", dir, dir)
  end))
end)

describe("a copy as an ordinary user", function()
  local lab
  local number = 0
  setup(function()
    lab = sshlab.new()
    lab:ordinary()
  end)
  teardown(function() lab:close() end)

  both("goes on after what is denied", function()
    if core.sys.getuid() ~= 0 then
      return -- needs somebody else's files
    end
    lab:with(function(s)
      session_type.extend(s)
      number = number + 1
      local dir = lab:path("work" .. number)
      os.execute(("mkdir -p %s/src/in %s/to %s/back; chmod 777 %s/to; cd %s/src; touch a b in/c; "
        .. "chmod 600 b; chmod 700 in"):format(dir, dir, dir, dir, dir))
      local _, err, more = s:download(dir .. "/src", dir .. "/back", { recursive = true })
      assert.equal("copy.failed", err.reason)
      assert.same({ 1, 2 }, { more.files, more.failed })
      local paths = { more.failures[1].path, more.failures[2].path }
      table.sort(paths)
      assert.same({ "src/b", "src/in" }, paths)
      assert.equal("sftp.denied", more.failures[1].err.reason)
      -- And on the machine.
      os.execute(("mkdir -p %s/to/src/in; chmod 755 %s/to/src/in; chmod 777 %s/to/src"):format(
        dir, dir, dir))
      _, err, more = s:upload(dir .. "/src", dir .. "/to", { recursive = true })
      assert.equal("sftp.denied", err.reason)
      assert.same({ 2, 1, "src/in/c" }, { more.files, more.failed, more.failures[1].path })
      assert(core.sys.remove(dir))
    end, nil, SFTP)
  end)
end)
