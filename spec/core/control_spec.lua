-- SPDX-License-Identifier: MIT
-- Messages of a control channel, taken apart in C.
local core = require "arclua.core"

local control = core.server.control

-- kind, token of each message
local CASES = {
  { '{"renewToken":{"token":"SharedAccessSignature sr=a&sig=b"}}', "renew",
    "SharedAccessSignature sr=a&sig=b" },
  { ' {"renewToken":{"more":[],"token":"a"},"also":1}\r\n', "renew", "a" },
  { [[{"renew\u0054oken":{"t\u006fken":"\ud83d\ude00"}}]], "renew", "\u{1F600}" },
  { '{"renewToken":{"token":""}}', "renew", "" },
  { '{"renewToken":{"token":5}}', "renew" },
  { '{"renewToken":{"token":null}}', "renew" },
  { [[{"renewToken":{"token":"a\u0000b"}}]], "renew" },
  { '{"renewToken":{}}', "renew" },
  { '{"response":{"requestId":"a","statusCode":"200"}}', "response" },
  { '{}', "unknown" },
  { '{"RenewToken":{"token":"a"}}', "unknown" },
  { '{"a":{"renewToken":{"token":"a"}}}', "unknown" },
  { '{"renewToken":1}', "malformed" },
  { '{"renewToken":null}', "malformed" },
  { '{"renewToken":[{"token":"a"}]}', "malformed" },
  { '{"response":"x"}', "malformed" },
  { '{"renewToken":{"token":"a"},"response":{}}', "malformed" },
  { '{"renewToken":{"token":"a"},"renewToken":{"token":"b"}}', "malformed" },
  { '{"renewToken":{"token":"a","token":"b"}}', "malformed" },
  { '{"renewToken":{"token":"a"}}{}', "malformed" },
  { '{"renewToken":{"token":"a"}', "malformed" },
  { '{"renewToken":{"token":"\255"}}', "malformed" },
  { '{"renewToken":{"token":"a\0b"}}', "malformed" },
  { [[{"renewToken":{"token":"\ud83d"}}]], "malformed" },
  { [[{"renew\u0000Token":{"token":"a"}}]], "malformed" },
  { ('{"a":'):rep(101) .. "1" .. ("}"):rep(101), "malformed" },
  { ("["):rep(100000), "malformed" },
  { "[]", "malformed" }, { "5", "malformed" }, { "null", "malformed" }, { "", "malformed" },
}

describe("a message of a control channel", function()
  it("is known by its one member", function()
    for _, case in ipairs(CASES) do
      assert.same({ case[2], case[3] }, { control(case[1]) }, case[1]:sub(1, 80))
    end
  end)

  it("may have 128 KB", function()
    local function message(size)
      local frame = '{"renewToken":{"token":""}}'
      local token = ("x"):rep(size - #frame)
      return frame:gsub('""', '"' .. token .. '"'), token
    end
    local text, token = message(128 * 1024)
    assert.same({ "renew", token }, { control(text) })
    assert.equal("malformed", (control((message(128 * 1024 + 1)))))
  end)

  it("is a string", function()
    assert.has_error(function() control {} end)
  end)
end)
