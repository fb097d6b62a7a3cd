-- SPDX-License-Identifier: MIT
-- Entra's numbered errors: each known one is said in plain words, with what to do.
local core = require "arclua.core"
local peer = require "peer"

local function ask(code, name)
  local body = ('{"error":"%s","error_codes":[%s],"error_description":"AADSTS%s: Told."}'):format(
    name or "invalid_client", code, code)
  local results = peer.serve(peer.answer("401 No", {}, body), function(url)
    return core.token.request { url = url, form = { a = "b" } }
  end)
  assert.is_nil(results[1])
  return results[2]
end

-- The rows of the table, as its source has them.
local function codes()
  local file <close> = assert(io.open "core/azure/aadsts.c")
  local out = {}
  for code, meaning in file:read("a"):gmatch '{(%d+), "([^"]*)"' do
    out[#out + 1] = { code = tonumber(code), meaning = meaning }
  end
  return out
end

describe("AADSTS codes", function()
  it("are sorted, and said with a remedy of their own", function()
    local before, plain = 0, ask(1).remedy
    assert.is_true(#codes() >= 20)
    for _, row in ipairs(codes()) do
      assert.is_true(row.code > before, row.code)
      before = row.code
      local err = ask(row.code)
      assert.equal(("%s: AADSTS%d: Told. (invalid_client)"):format(row.meaning, row.code),
        err.message)
      assert.truthy(err.remedy)
      assert.not_equal(plain, err.remedy)
    end
  end)

  it("that are unknown keep the reason's remedy", function()
    for _, code in ipairs { "1", "-5", "0", "null", "99999999999999" } do
      assert.equal(core.reasons["entra.bad-client"].remedy, ask(code).remedy)
    end
    assert.equal("entra.interaction-required", ask(50076, "interaction_required").reason)
  end)
end)
