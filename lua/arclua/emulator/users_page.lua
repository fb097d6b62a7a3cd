-- SPDX-License-Identifier: MIT
-- The pages where a person approves or declines a sign-in: plain HTML, and no script but the one
-- line that posts a form on. The one that approves has an address that nobody can guess.
local core = require "arclua.core"
local text = require "arclua.emulator.text"
local users = require "arclua.emulator.users"

local page = {}

local HEADERS = { ["Content-Type"] = "text/html; charset=utf-8", ["Cache-Control"] = "no-store",
  ["Referrer-Policy"] = "no-referrer", ["X-Content-Type-Options"] = "nosniff" }
local POLICY = "default-src 'none'; %sform-action 'self' http://localhost:*; "
  .. "frame-ancestors 'none'"

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

-- The page that takes a code on without putting it into an address. Its script is the one that may
-- run; without scripts there is the button.
local SCRIPT = "document.forms[0].submit()"
local PASS_ON = [[<form method="post" action="%s">
%s<p><button>Continue</button></p>
</form><script>%s</script>]]

local function escape(s)
  return (s:gsub("[&<>\"']", function(c)
    return ("&#%d;"):format(c:byte())
  end))
end

-- script: one that may run on the page.
local function show(status, inner, script)
  local headers = {}
  for name, value in pairs(HEADERS) do
    headers[name] = value
  end
  headers["Content-Security-Policy"] = POLICY:format(script and ("script-src 'sha256-%s'; "):format(
    core.crypto.base64(core.crypto.sha256(script))) or "")
  return status, headers, SHELL:format(inner)
end

-- Back to where the browser came from, by a form or in the address.
local function pass_on(where, fields, by_form)
  local parts = {}
  for i, field in ipairs(fields) do
    parts[i] = by_form and ('<input type="hidden" name="%s" value="%s">\n'):format(field[1],
      escape(field[2])) or field[1] .. "=" .. text.encode(field[2])
  end
  if by_form then
    return show(200, PASS_ON:format(escape(where), table.concat(parts), SCRIPT), SCRIPT)
  end
  return 302, { Location = where .. "?" .. table.concat(parts, "&"),
    ["Cache-Control"] = "no-store" }, ""
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
  local where, more = users.authorize(state, tenant, query)
  if not where then
    return show(400, "<p>" .. escape(more) .. "</p>")
  end
  state.log:add("authorized", { answer = sent.answer, claims = query.claims })
  return pass_on(where, more, query.response_mode == "form_post")
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
