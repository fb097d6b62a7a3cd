-- SPDX-License-Identifier: MIT
-- The pages where a person approves or declines a sign-in: plain HTML, and no script but the one
-- line that posts a form on. The one that approves has an address that nobody can guess.
local core = require "arclua.core"
local html = require "arclua.page"
local text = require "arclua.emulator.text"
local users = require "arclua.emulator.users"

local page = {}

local HEADERS = { ["Content-Type"] = "text/html; charset=utf-8", ["Cache-Control"] = "no-store",
  ["Referrer-Policy"] = "no-referrer", ["X-Content-Type-Options"] = "nosniff" }
local POLICY = "form-action 'self' http://localhost:*; frame-ancestors 'none'"
local FOOTER = "arclua emulator: nothing here is Azure"

local FORM = [[<p>You are <b>%s</b>. A device or a program wants to sign in as you: enter the code
that it shows.</p>
<form method="post">
<label>Code <input name="code" value="%s" autofocus autocomplete="off" spellcheck="false"
required></label>
<button name="answer" value="approve">Approve</button>
<button name="answer" value="decline">Decline</button>
</form>]]

local ELSEWHERE = [[<p>This is arclua's emulator. Codes are entered at the address in the variable
<code>ARCLUA_EMULATOR_SIGNIN</code>, which only whoever started the emulator knows.</p>]]

local SIGN_IN = [[<p>%s wants to sign in as <b>%s</b>. The password is the long part of the
variable <code>ARCLUA_EMULATOR_SIGNIN</code>, between the slashes.</p>
<form method="post">
<label>Password <input name="password" type="password" autofocus autocomplete="off"></label>
<button name="answer" value="approve">Sign in</button>
<button name="answer" value="decline" formnovalidate>Decline</button>
</form>]]

-- The page that takes a code on without putting it into an address. Its script is the one that may
-- run; without scripts there is the button.
local SCRIPT = "document.forms[0].submit()"
local PASS_ON = [[<form method="post" action="%s">
%s<button value="approve">Continue</button>
</form><script>%s</script>]]

local escape = html.escape

-- script: one that may run on the page.
local function show(status, title, inner, script)
  local headers = {}
  for name, value in pairs(HEADERS) do
    headers[name] = value
  end
  headers["Content-Security-Policy"] = html.policy(script and ("script-src 'sha256-%s'; "):format(
    core.crypto.base64(core.crypto.sha256(script))) .. POLICY or POLICY)
  return status, headers, html.html(title, inner, FOOTER)
end

-- Back to where the browser came from, by a form or in the address.
local function pass_on(where, fields, by_form)
  local parts = {}
  for i, field in ipairs(fields) do
    parts[i] = by_form and ('<input type="hidden" name="%s" value="%s">\n'):format(field[1],
      escape(field[2])) or field[1] .. "=" .. text.encode(field[2])
  end
  if by_form then
    return show(200, "Back to the program", PASS_ON:format(escape(where), table.concat(parts),
      SCRIPT), SCRIPT)
  end
  return 302, { Location = where .. "?" .. table.concat(parts, "&"),
    ["Cache-Control"] = "no-store" }, ""
end

--- The public page, which only says where the other one is.
function page.elsewhere()
  return show(200, "Enter a code", ELSEWHERE)
end

local function warning(words)
  return '<p class="warn" role="alert">' .. words .. "</p>"
end

local function ask(state, status, code, words)
  return show(status, "Enter a code", (words and warning(words) or "")
    .. FORM:format(escape(state.users.upn), escape(code)))
end

local function known(state, key)
  return core.crypto.equal(key, state.users.page_key)
end

--- The page with the form.
function page.ask(state, key, request)
  if not known(state, key) then
    return 404, {}, ""
  end
  return ask(state, 200, text.pairs(request.query or "", true, true).code or "")
end

local function sign_in(state, status, query, words)
  local who = query.client_id and "The program " .. text.plain(query.client_id, 100)
  return show(status, "Sign in", (words and warning(words) or "")
    .. SIGN_IN:format(escape(who or "A program"), escape(state.users.upn)))
end

local function query_of(request)
  return text.pairs(request.query or "", true, true)
end

--- The page of a browser on its way to a code. The password is what only the starter knows.
function page.authorize(state, _, request)
  return sign_in(state, 200, query_of(request))
end

--- What that page's form sends: on to where the browser came from.
function page.authorized(state, tenant, request)
  local sent, query = text.pairs(request.body, true, true), query_of(request)
  if not known(state, sent.password or "") then
    return sign_in(state, 401, query, "That is not the password.")
  end
  query.answer = sent.answer
  local where, more = users.authorize(state, tenant, query)
  if not where then
    return show(400, "This cannot be signed in to", warning(escape(more)))
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
    return ask(state, 400, "", "No sign-in waits with this code.")
  elseif sent.answer ~= "approve" and sent.answer ~= "decline" then
    return ask(state, 400, sent.code)
  end
  device.answer = sent.answer
  state.log:add("device-answer", { user_code = device.user_code, answer = sent.answer })
  if sent.answer == "approve" then
    return show(200, "Approved", "<p>The device is signed in within seconds. You may close this "
      .. "page.</p>")
  end
  return show(200, "Declined", "<p>You may close this page.</p>")
end

return page
