-- SPDX-License-Identifier: MIT
-- A command line as ssh reads it.
local arguments = require "arclua.openssh.arguments"
local escape = require "arclua.openssh.escape"

local KNOWN = { ["--name"] = { key = "name", arg = "NAME" }, ["--flag"] = { key = "flag" },
  ["--many"] = { key = "many", arg = "X", many = true },
  ["--number"] = { key = "number", arg = "N", convert = function(text)
    return tonumber(text), "a number"
  end } }

local function parse(line)
  local words = {}
  for word in line:gmatch "%S+" do
    words[#words + 1] = word
  end
  return arguments.parse(words, KNOWN)
end

describe("a command line as ssh has it", function()
  it("options stand before and after the machine, and end with the command", function()
    local given = assert(parse "-l me -p22 web -vN -L8080:a:1 cmd -x -- y")
    assert.same({ "me", "22", "web", 1 }, { given.user, given.port, given.destination,
      given.verbose })
    assert.same({ "SessionType=none" }, given.options)
    assert.same({ { kind = "L", text = "8080:a:1" } }, given.forwards)
    assert.same({ "cmd", "-x", "--", "y" }, given.command)
  end)

  it("-- ends the options, and before the machine for good", function()
    local given = assert(parse "web -- -v")
    assert.same({ "-v" }, given.command)
    given = assert(parse "-- web -v")
    assert.same({ "web", { "-v" }, 0 }, { given.destination, given.command, given.verbose })
  end)

  it("a name by az's option leaves the place of the machine to the command", function()
    assert.same({ "ls", "-l" }, assert(parse "--name web ls -l").command)
    local given = assert(parse "--name web -- -v ls -l")
    assert.same({ 1, { "ls", "-l" } }, { given.verbose, given.command })
  end)

  it("the first of what may be said once counts", function()
    local given = assert(parse "-l a b@web -l c -p 1 -p 2")
    assert.same({ "a", "web", "1" }, { given.user, given.destination, given.port })
    given = assert(parse "b@c@web -l d")
    assert.same({ "b@c", "web" }, { given.user, given.destination })
    given = assert(parse "-p 7 ssh://me@host:22/")
    assert.same({ "me", "host", "7" }, { given.user, given.destination, given.port })
    assert.equal("22", assert(parse "ssh://host:22").port)
  end)

  it("-t twice forces, -T forbids", function()
    for line, tty in pairs { ["-t w"] = "yes", ["-tt w"] = "force", ["-t w -t"] = "force",
      ["-tT w"] = "no", ["-Tt w"] = "yes" } do
      assert.equal(tty, assert(parse(line)).tty, line)
    end
  end)

  it("long options take their values in both ways", function()
    local given = assert(parse "--many a --many=b --flag --number=7 web")
    assert.same({ many = { "a", "b" }, flag = true, number = 7 }, given.long)
    assert.same({ "w", { "cmd", "--flag" } }, { assert(parse "w --while cmd --flag").destination,
      parse("w --while cmd --flag").during })
  end)

  it("a lone - is no option", function()
    assert.equal("-", assert(parse "-").destination)
  end)

  it("says what is wrong", function()
    for line, why in pairs { ["-l"] = "option '-l' needs a value",
      ["-vZ w"] = "unknown option '-Z'",
      ["--nope"] = "unknown option '--nope'", ["--flag=1"] = "takes no value",
      ["--name"] = "option '--name' needs NAME", ["--number=x"] = "a number expected, got 'x'",
      ["-w 1"] = "tunnel devices", ["@web"] = "[USER@]MACHINE expected", ["me@"] = "expected",
    } do
      local given, text = parse(line)
      assert.is_nil(given, line)
      assert.matches(why, text, 1, true)
    end
  end)

  it("knows every option that the help shows, and shows every one but az's folders", function()
    local ssh_options, shown = require "arclua.cli.ssh_options", {}
    local parser = ssh_options.parser()
    require("arclua.cli.options").add_globals(parser)
    for _, option in ipairs(parser._options) do
      for _, flag in ipairs(option._aliases) do
        local words = { flag, option._maxargs > 0 and "1" or nil, "web" }
        local given, why = arguments.parse(words, ssh_options.LONG)
        if why and why:find "expected, got '1'$" then
          given = true -- it takes words of its own
        end
        assert.is_truthy(given, why)
        shown[flag] = true
      end
    end
    local hidden = {}
    for flag in pairs(ssh_options.LONG) do
      hidden[#hidden + 1] = not shown[flag] and flag or nil
    end
    table.sort(hidden)
    assert.same({ "--ssh-client-folder", "--ssh-proxy-folder" }, hidden)
  end)

  it("quotes what stands in an option, and finds a keyword's values", function()
    local text = 'a "b" \\c'
    local given = arguments.given({ "User=x", "CertificateFile=" .. arguments.quote(text),
      "certificatefile two words" }, "certificatefile")
    assert.same({ { text }, { "two", "words" } }, given)
  end)
end)

describe("the escape character", function()
  -- What is sent, with the actions that ran in it.
  local function feed(chunks, char)
    local out = {}
    local function send(text)
      out[#out + 1] = text
    end
    local it_ = escape.new(char or "~", { ["."] = function() out[#out + 1] = "<end>" end,
      ["?"] = function() out[#out + 1] = "<help>" end })
    for _, chunk in ipairs(chunks) do
      it_:feed(chunk, send)
    end
    return table.concat(out)
  end

  for name, case in pairs {
    ["at the beginning"] = { { "~." }, "<end>" }, ["after CR"] = { { "a\r~?b" }, "a\r<help>b" },
    ["after LF"] = { { "a\n~." }, "a\n<end>" }, ["in pieces"] = { { "\r", "~", "." }, "\r<end>" },
    ["not in a line"] = { { "a~.", "~." }, "a~.~." }, ["doubled"] = { { "~~.\r~~" }, "~.\r~" },
    ["before anything else"] = { { "~x\r~\r~." }, "~x\r~\r<end>" },
    ["twice in a row"] = { { "~?~?~." }, "<help><help><end>" },
    ["without any"] = { { "abc\r", "def" }, "abc\rdef" },
    ["bytes of all kinds"] = { { "\0\255~\r~\0" }, "\0\255~\r~\0" },
  } do
    it("counts at a line's begin: " .. name, function()
      assert.equal(case[2], feed(case[1]))
    end)
  end

  it("may be any character", function()
    assert.equal("~.\r<end>", feed({ "~.\r\29." }, "\29"))
    assert.equal("^]", escape.readable "\29")
    assert.equal("%", escape.readable "%")
  end)
end)
