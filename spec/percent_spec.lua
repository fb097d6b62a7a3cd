-- SPDX-License-Identifier: MIT
local percent = require "arclua.percent"

describe("percent-encoding", function()
  it("leaves unreserved characters alone, and no others", function()
    assert.equal("aZ09-._~", percent.encode "aZ09-._~")
    assert.equal("%20%2B%26%3D%25%2F%3A%00%C3%BC", percent.encode " +&=%/:\0\u{fc}")
    assert.equal("", percent.encode "")
  end)
end)
