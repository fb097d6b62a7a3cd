-- SPDX-License-Identifier: MIT
-- What -L, -R, -D and -W are told.
local spec = require "arclua.forward.spec"

describe("a forwarding's text", function()
  local function listen(kind, text)
    local found = assert(spec.parse(kind, text))
    return found.listen, found.target
  end

  it("is ports and hosts, addresses in brackets, paths", function()
    for _, case in ipairs {
      { "L", "80:db:5432", { port = 80 }, { host = "db", port = 5432 } },
      { "L", "0:db:5432", { port = 0 }, { host = "db", port = 5432 } },
      { "L", "::1:80", nil },
      { "L", "[::1]:80:[fe80::2]:22", { host = "::1", port = 80 },
        { host = "fe80::2", port = 22 } },
      { "L", "*:80:db:1", { host = "*", port = 80 }, { host = "db", port = 1 } },
      { "L", ":80:db:1", { host = "*", port = 80 }, { host = "db", port = 1 } },
      { "L", "80:/run/x.sock", { port = 80 }, { path = "/run/x.sock" } },
      { "L", "/tmp/s:db:1", { path = "/tmp/s" }, { host = "db", port = 1 } },
      { "L", "/tmp/s:/run/x", { path = "/tmp/s" }, { path = "/run/x" } },
      { "L", "/tmp/a\\:b:db:1", { path = "/tmp/a:b" }, { host = "db", port = 1 } },
      { "L", "80 db:5432", { port = 80 }, { host = "db", port = 5432 } }, -- as in ssh_config
      { "R", "0:localhost:22", { port = 0 }, { host = "localhost", port = 22 } },
      { "R", "8080", { port = 8080 } }, { "R", "*:8080", { host = "*", port = 8080 } },
      { "R", "80:/run/x", { port = 80 }, { path = "/run/x" } },
      { "D", "1080", { port = 1080 } },
      { "D", "127.0.0.1:1080", { host = "127.0.0.1", port = 1080 } },
    } do
      if case[3] then
        local from, to = listen(case[1], case[2])
        assert.same({ case[3], case[4] }, { from, to }, case[2])
      else
        assert.is_nil((spec.parse(case[1], case[2])), case[2])
      end
    end
  end)

  it("is refused with what is expected", function()
    for _, case in ipairs { { "L", "" }, { "L", "80" }, { "L", "80:db" }, { "L", "x:db:1" },
      { "L", "80:db:0" }, { "L", "80:db:70000" }, { "L", "1:2:3:4:5" }, { "L", "[::1:80:a:1" },
      { "D", "/tmp/x" }, { "D", "a:b:1" }, { "D", "" }, { "R", "80:db:x" } } do
      local found, err = spec.parse(case[1], case[2])
      assert.is_nil(found, case[2])
      assert.equal("config", err.code)
      assert.matches(("option '-%s %s'"):format(case[1], case[2]), err.message, 1, true)
    end
    local _, err = spec.parse("R", "/tmp/x:db:1")
    assert.matches("cannot be listened on", err.message, 1, true)
  end)

  it("-W names one place", function()
    assert.same({ host = "db", port = 22 }, spec.place "db:22")
    assert.same({ host = "::1", port = 22 }, spec.place "[::1]:22")
    assert.same({ path = "/run/x" }, spec.place "/run/x")
    for _, text in ipairs { "db", ":22", "a:b:22", "", "db:x" } do
      assert.is_nil((spec.place(text)), text)
    end
  end)
end)
