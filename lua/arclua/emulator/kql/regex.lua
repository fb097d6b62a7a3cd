-- SPDX-License-Identifier: MIT
-- RE2's usual part, for `matches regex`: alternatives, groups, classes, repetition, ^ $ \b, (?i).
-- A node is a function (text, at, go): go(at) goes on behind what it matched.
local regex = {}

local CHARACTER = "^" .. utf8.charpattern
-- Steps of one match: a pattern that tries too much is given up.
local BUDGET = 200000

local SETS = {
  d = "%d", w = "[%w_]", s = "%s", D = "%D", W = "[^%w_]", S = "%S",
}
local CONTROLS = { n = "\n", t = "\t", r = "\r", f = "\f", v = "\v" }

local function fail(why)
  error({ regex = why }, 0)
end

-- A node for one character for which test(character) holds.
local function single(test)
  return function(text, at, go)
    local character = text:match(CHARACTER, at) or text:match("^.", at)
    return character ~= nil and test(character) and go(at + #character)
  end
end

local function literal(p, character)
  local wanted = p.fold and character:lower() or character
  return single(function(got)
    return (p.fold and got:lower() or got) == wanted
  end)
end

local function set(pattern)
  return single(function(got)
    return got:find("^" .. pattern .. "$") ~= nil
  end)
end

local function boundary(text, at)
  local before = at > 1 and text:find("^[%w_]", at - 1) ~= nil
  return before ~= (text:find("^[%w_]", at) ~= nil)
end

local function take(p)
  local character = p.text:match(CHARACTER, p.at) or p.text:match("^.", p.at)
  if not character then
    fail "it ends too soon"
  end
  p.at = p.at + #character
  return character
end

local function next_is(p, wanted)
  if p.text:sub(p.at, p.at + #wanted - 1) == wanted then
    p.at = p.at + #wanted
    return true
  end
  return false
end

local function escape(p)
  local character = take(p)
  if SETS[character] then
    return set(SETS[character])
  elseif character == "b" then
    return function(text, at, go)
      return boundary(text, at) and go(at)
    end
  elseif CONTROLS[character] or character:find "%p" then
    return literal(p, CONTROLS[character] or character)
  end
  fail("'\\" .. character .. "' is not known")
end

-- A member of a class: a test, or the first and last character of a range.
local function class_member(p)
  local character = take(p)
  if character == "\\" then
    character = take(p)
    if SETS[character] then
      local pattern = SETS[character]
      return function(got)
        return got:find("^" .. pattern .. "$") ~= nil
      end
    end
    character = CONTROLS[character] or character
  end
  local last = character
  if p.text:find("^%-[^%]]", p.at) then
    p.at = p.at + 1
    last = take(p)
    last = last == "\\" and take(p) or last
  end
  local low, high, fold = utf8.codepoint(character), utf8.codepoint(last), p.fold
  return function(got)
    local code = utf8.codepoint(got)
    if code >= low and code <= high then
      return true
    elseif not fold or #got > 1 then
      return false
    end
    local other = utf8.codepoint(got == got:lower() and got:upper() or got:lower())
    return other >= low and other <= high
  end
end

local function class(p)
  local negated, members = next_is(p, "^"), {}
  repeat
    members[#members + 1] = class_member(p)
  until next_is(p, "]")
  return single(function(got)
    for _, test in ipairs(members) do
      if test(got) then
        return not negated
      end
    end
    return negated
  end)
end

local alternatives

local function group(p)
  if next_is(p, "?:") then
    p.depth = p.depth + 1
  elseif next_is(p, "?i)") then
    p.fold = true
    return nil
  elseif p.text:find("^%?", p.at) then
    fail "'(?' of this kind is not known"
  else
    p.depth = p.depth + 1
  end
  local node = alternatives(p)
  if not next_is(p, ")") then
    fail "a '(' has no ')'"
  end
  p.depth = p.depth - 1
  return node
end

local ATOMS = { ["("] = group, ["["] = class, ["\\"] = escape }

ATOMS["."] = function()
  return single(function(got)
    return got ~= "\n"
  end)
end

ATOMS["^"] = function()
  return function(_, at, go)
    return at == 1 and go(at)
  end
end

ATOMS["$"] = function()
  return function(text, at, go)
    return at == #text + 1 and go(at)
  end
end

local function atom(p)
  local character = take(p)
  if character:find "[*+?]" then
    fail("'" .. character .. "' repeats nothing")
  elseif character == ")" then
    fail "a ')' has no '('"
  end
  local make = ATOMS[character]
  if make then
    return make(p)
  end
  return literal(p, character)
end

local function counted(p)
  local least, comma, most = p.text:match("^{(%d+)(,?)(%d*)}", p.at)
  if not least then
    return nil
  end
  p.at = p.text:find("}", p.at, true) + 1
  most = comma == "" and tonumber(least) or tonumber(most) or math.huge
  return tonumber(least), most
end

-- Between least and most times, as many as possible.
local function repeated(p, node, least, most)
  local function step(text, at, go, count)
    p.steps = p.steps + 1
    if p.steps > BUDGET then
      fail "it tries too many ways"
    end
    return count < most and node(text, at, function(after)
      return (after > at or count < least) and step(text, after, go, count + 1)
    end) or count >= least and go(at)
  end
  return function(text, at, go)
    return step(text, at, go, 0)
  end
end

local function piece(p)
  local node = atom(p)
  if not node then
    return nil
  end
  local least, most
  if next_is(p, "*") then
    least, most = 0, math.huge
  elseif next_is(p, "+") then
    least, most = 1, math.huge
  elseif next_is(p, "?") then
    least, most = 0, 1
  else
    least, most = counted(p)
  end
  if least then
    next_is(p, "?") -- lazy: whether it matches is the same
    return repeated(p, node, least, most)
  end
  return node
end

local function sequence(p)
  local nodes = {}
  while p.at <= #p.text and not p.text:find("^|", p.at)
    and not (p.depth > 0 and p.text:find("^%)", p.at)) do
    nodes[#nodes + 1] = piece(p)
  end
  local function run(text, at, go, i)
    local node = nodes[i]
    if not node then
      return go(at)
    end
    return node(text, at, function(after)
      return run(text, after, go, i + 1)
    end)
  end
  return function(text, at, go)
    return run(text, at, go, 1)
  end
end

function alternatives(p)
  local nodes = {}
  repeat
    nodes[#nodes + 1] = sequence(p)
  until not next_is(p, "|")
  if #nodes == 1 then
    return nodes[1]
  end
  return function(text, at, go)
    for _, node in ipairs(nodes) do
      if node(text, at, go) then
        return true
      end
    end
    return false
  end
end

local function found()
  return true
end

--- A function that says whether the pattern matches anywhere in a text | nil, what is wrong. It
--- raises { regex = why } on a text with which it would take too long.
---@param pattern string
---@return (fun(text: string): boolean)|nil, string?
function regex.compile(pattern)
  local p = { text = pattern, at = 1, depth = 0, steps = 0 }
  local ok, node = pcall(alternatives, p)
  if not ok then
    return nil, type(node) == "table" and node.regex or tostring(node)
  end
  local anchored = pattern:gsub("^%(%?i%)", ""):find "^%^[^|]*$" ~= nil
  return function(text)
    p.steps = 0
    for at = 1, anchored and 1 or #text + 1 do
      if node(text, at, found) then
        return true
      end
    end
    return false
  end
end

return regex
