-- SPDX-License-Identifier: MIT
-- A relay that is slow, absent or hostile, as a user of the program sees it.
local cli = require "cli"
local core = require "arclua.core"
local emulated = require "emulated"

local it_runs, run = cli.it, cli.run

local ESCAPES = "\27]0;pwned\7\27[2J \xc2\x9b31m \x9b31m \b\x7f"

-- Neither stream has a byte that steers a terminal.
local function assert_harmless(ended)
  for _, text in ipairs { ended.out, ended.err } do
    assert.is_nil(text:find "[%z\1-\8\11-\31\127]", text)
    assert.is_nil(text:find "\xc2[\x80-\x9f]", text)
    assert.truthy(utf8.len(text))
  end
end

local function with_faults(faults, fn)
  for _, fault in ipairs(faults) do
    cli.e:fault(fault)
  end
  local ok, err = pcall(fn)
  cli.e:clear()
  assert(ok, err)
end

describe("a relay seen by a user", function()
  cli.with { { name = "web-01" }, { name = "web-02" } }

  local sources = {
    ["reason phrase"] = { at = "relay", kind = "answer", status = 418, reason = ESCAPES },
    ["ARM's message"] = { at = "arm", kind = "answer", method = "POST", status = 403,
      code = "AuthorizationFailed", message = ESCAPES },
    ["reset"] = { at = "link", kind = "close", code = 1011, bytes = 4 },
    ["garbage instead of a banner"] = { at = "sshd", kind = "garbage" },
  }
  for name, fault in pairs(sources) do
    it_runs("never sends escapes to the terminal: " .. name .. " (#16)", function()
      with_faults({ fault }, function()
        for _, mode in ipairs { "live", "jsonl" } do
          local ended = run { "--no-cache", "exec", "web-01", "--retries", "0", "--connect-timeout",
            "2s", "-o", mode, "--log-level", "trace", "--", "true" }
          assert.equal(4, ended.status, ended.err)
          assert_harmless(ended)
        end
      end)
    end)
  end

  it_runs("escapes what reaches a real terminal", function()
    with_faults({ sources["reason phrase"] }, function()
      local ended = cli.run_terminal "exec web-01 --retries 0 -- true"
      assert.is_nil(ended:find("\27]0;", 1, true))
      assert.is_nil(ended:find("\27[2J", 1, true))
      assert.truthy(ended:find("pwned", 1, true))
    end)
  end)

  it_runs("says at a terminal what is waited for, and takes it back (#10)", function()
    with_faults({
      { at = "relay", kind = "no-endpoint", times = 1 },
      { at = "relay", kind = "no-listener", times = 1 },
    }, function()
      local text = cli.run_terminal "exec web-01 -- echo done"
      local first = text:find("waiting for the agent (not registered yet), 0 s, attempt 2", 1, true)
      local second = text:find("waiting for the agent (no listener yet), 1 s, attempt 3", 1, true)
      assert.truthy(first and second and first < second, text)
      assert.matches("\r +\r", text)
      assert.truthy(text:find("done", second, true), text)
    end)
  end)

  it_runs("says it in the log elsewhere, and nothing unasked", function()
    local fault = { at = "relay", kind = "no-listener", times = 1 }
    with_faults({ fault }, function()
      local ended = run { "exec", "web-01", "--log-level", "info", "--", "true" }
      assert.equal(0, ended.status, ended.err)
      assert.matches("arclua: info: web%-01: waiting for the agent %(no listener yet%), %d s, "
        .. "attempt 2\n", ended.err)
    end)
    with_faults({ fault }, function()
      assert.is_nil(run({ "exec", "web-01", "--", "true" }).err:find("waiting", 1, true))
    end)
  end)

  for _, port in ipairs { "0", "65536", "-1", "x", "22 ", "1e9", "" } do
    it_runs(("refuses --port '%s' by name"):format(port), function()
      local ended = run { "exec", "web-01", "--port=" .. port, "--", "true" }
      assert.equal(2, ended.status, ended.err)
      assert.matches("port", ended.err, 1, true)
    end)
  end

  it_runs("a session goes on when its token has expired (#62)", function()
    local session = assert(emulated.session(cli.e, "web-01"))
    with_faults({ { at = "clock", kind = "skew", seconds = 86400 } }, function()
      local answer = assert(session:exec "echo still")
      assert.equal("still\n", answer.stdout)
    end)
    session:close()
    core.linger()
  end)
end)

