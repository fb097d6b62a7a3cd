-- SPDX-License-Identifier: MIT
local json = require "arclua.json"

describe("json", function()
  it("keeps integers integers", function()
    local value = json.decode '{"a":3,"b":[1,2.5],"c":-7,"d":1e300}'
    assert.equal("integer", math.type(value.a))
    assert.equal("integer", math.type(value.b[1]))
    assert.equal(2.5, value.b[2])
    assert.equal("float", math.type(value.d))
  end)

  it("leaves null members out and keeps them in lists", function()
    local value = json.decode '{"a":null,"b":[null,1]}'
    assert.is_nil(value.a)
    assert.equal(json.null, value.b[1])
    assert.equal('{"b":[null,1]}', json.encode(value))
  end)

  it("says what is not JSON", function()
    for _, bad in ipairs { "", "{", "[1,]", "nan", ("["):rep(200) .. ("]"):rep(200) } do
      local value, err = json.decode(bad)
      assert.is_nil(value)
      assert.equal("protocol", err.code)
    end
  end)

  it("writes empty lists, empty objects and sorted members", function()
    assert.equal("[]", json.encode(json.array()))
    assert.equal("{}", json.encode {})
    assert.equal('{"a":1,"b":[1,"x"],"c":true}', json.encode { c = true, b = { 1, "x" }, a = 1 })
  end)

  it("writes members in the order asked for, null for missing ones", function()
    assert.equal('{"z":1,"a":null}', json.encode(json.ordered({ "z", "a" }, { z = 1 })))
  end)

  it("escapes control bytes and leaves slashes", function()
    assert.equal([["a\"\\\n\u0001/\u007f"]], json.encode 'a"\\\n\1/\127')
  end)

  it("never writes invalid UTF-8", function()
    assert.equal('"a\u{FFFD}b\u{FFFD}"', json.encode "a\xFFb\xC3")
    assert.equal('"é€"', json.encode "é€")
  end)

  it("writes numbers that read back", function()
    for _, n in ipairs { 0.1, 1 / 3, 1e300, -0.5, math.maxinteger } do
      assert.equal(n, tonumber(json.encode(n)))
    end
    assert.equal("null", json.encode(0 / 0))
    assert.equal("null", json.encode(math.huge))
  end)

  it("raises on what JSON cannot hold", function()
    assert.has_error(function() json.encode(print) end)
    assert.has_error(function() json.encode { [1.5] = 1 } end)
  end)
end)
