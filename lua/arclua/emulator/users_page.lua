-- SPDX-License-Identifier: MIT
-- The pages where a person approves or declines a device's sign-in: plain HTML, no script. The
-- one that can do so has an address that nobody can guess.
local core = require "arclua.core"
local text = require "arclua.emulator.text"
local users = require "arclua.emulator.users"

local page = {}

local HEADERS = { ["Content-Type"] = "text/html; charset=utf-8", ["Cache-Control"] = "no-store",
  ["Referrer-Policy"] = "no-referrer", ["X-Content-Type-Options"] = "nosniff",
  ["Content-Security-Policy"] = "default-src 'none'; "
    .. "form-action 'self' http://localhost:*; frame-ancestors 'none'" }

local SHELL = [[<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>arclua emulator: sign-in</title></head>
<body><h1>Sign-in</h1>
%s
</body></html>
]]

local FORM = [[<p>You are %s.</p>
<form method="post">
<p><label>Code: <input name="code" value="%s" autofocus autocomplete="off"></label></p>
<p><button name="answer" value="approve">Approve</button>
<button name="answer" value="decline">Decline</button></p>
</form>]]

local ELSEWHERE = [[<p>This is arclua's emulator. Codes are entered at the address in the variable
<code>ARCLUA_EMULATOR_SIGNIN</code>, which only whoever started the emulator knows.</p>]]

local SIGN_IN = [[<p>The password is the long part of the variable
<code>ARCLUA_EMULATOR_SIGNIN</code>, between the slashes.</p>
<form method="post">
<p><label>Password: <input name="password" type="password" autofocus></label></p>
<p><button name="answer" value="approve">Sign in</button>
<button name="answer" value="decline">Decline</button></p>
</form>]]

local function escape(s)
  return (s:gsub("[&<>\"']", function(c)
    return ("&#%d;"):format(c:byte())
  end))
end

local function show(status, inner)
  local headers = {}
  for name, value in pairs(HEADERS) do
    headers[name] = value
  end
  return status, headers, SHELL:format(inner)
end

--- The public page, which only says where the other one is.
function page.elsewhere()
  return show(200, ELSEWHERE)
end

local function form(state, code)
  return FORM:format(escape(state.users.upn), escape(code))
end

local function known(state, key)
  return core.crypto.equal(key, state.users.page_key)
end

--- The page with the form.
function page.ask(state, key, request)
  if not known(state, key) then
    return 404, {}, ""
  end
  return show(200, form(state, text.pairs(request.query or "", true, true).code or ""))
end

--- The page of a browser on its way to a code. The password is what only the starter knows.
function page.authorize()
  return show(200, SIGN_IN)
end

--- What that page's form sends: on to where the browser came from.
function page.authorized(state, tenant, request)
  local sent = text.pairs(request.body, true, true)
  local query = text.pairs(request.query or "", true, true)
  if not known(state, sent.password or "") then
    return show(401, "<p>That is not the password.</p>" .. SIGN_IN)
  end
  query.answer = sent.answer
  local where, why = users.authorize(state, tenant, query)
  if not where then
    return show(400, "<p>" .. escape(why) .. "</p>")
  end
  state.log:add("authorized", { answer = sent.answer })
  return 302, { Location = where, ["Cache-Control"] = "no-store" }, ""
end

--- What the form sends: approves or declines.
function page.answer(state, key, request)
  if not known(state, key) then
    return 404, {}, ""
  end
  local sent = text.pairs(request.body, true, true)
  local device = users.by_code(state.users.devices, sent.code or "")
  if not device or device.answer or state.faults:time() >= device.ends then
    return show(400, "<p>No sign-in waits with this code.</p>" .. form(state, ""))
  elseif sent.answer ~= "approve" and sent.answer ~= "decline" then
    return show(400, form(state, sent.code))
  end
  device.answer = sent.answer
  state.log:add("device-answer", { user_code = device.user_code, answer = sent.answer })
  return show(200, sent.answer == "approve"
    and "<p>Approved. You may close this page; the device is signed in within seconds.</p>"
    or "<p>Declined. You may close this page.</p>")
end

return page
