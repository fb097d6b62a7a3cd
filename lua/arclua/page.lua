-- SPDX-License-Identifier: MIT
-- The pages that a browser shows of ours: plain HTML without scripts, one look.
local core = require "arclua.core"

local page = {}

local STYLE = [[
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --ground: #f1f3f6; --line: #c6ccd4;
  --mark: #0b5cad; --warn: #a4262c }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --paper: #22262c; --ground: #16191d;
  --line: #4a525d; --mark: #6cb2ff; --warn: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { width: min(28rem, 100vw - 2rem); padding: 2rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: 8px }
h1 { margin: 0 0 1rem; font-size: 1.4rem }
p { margin: 0 0 1rem; overflow-wrap: anywhere }
.warn { color: var(--warn) }
label { display: block; margin-bottom: 1.25rem; font-weight: 600 }
input { display: block; width: 100%; margin-top: .25rem; padding: .5rem .6rem; font: inherit;
  color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: 4px }
input[name=code] { font-family: monospace; font-size: 1.25rem; letter-spacing: .15em;
  text-transform: uppercase }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 1px }
button { padding: .5rem 1.25rem; margin-right: .5rem; font: inherit; border: 1px solid var(--line);
  border-radius: 4px; background: transparent; color: inherit; cursor: pointer }
button[value=approve] { background: var(--mark); border-color: var(--mark); color: var(--paper) }
code { font-family: monospace }
footer { margin-top: 1.5rem; font-size: .8rem; opacity: .7 }
]]

local SHELL = [[<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>%s</title><style>%s</style></head>
<body><main><h1>%s</h1>
%s
<footer>%s</footer></main></body></html>
]]

--- What a page may load: nothing but its own style. more: further directives.
---@param more string?
---@return string  the value of Content-Security-Policy
function page.policy(more)
  local hash = core.crypto.base64(core.crypto.sha256(STYLE))
  return ("default-src 'none'; img-src data:; style-src 'sha256-%s'%s"):format(hash,
    more and "; " .. more or "")
end

--- Text in HTML.
---@param text string
---@return string
function page.escape(text)
  return (text:gsub("[&<>\"']", function(c)
    return ("&#%d;"):format(c:byte())
  end))
end

--- A page. title, footer: text; inner: HTML.
---@return string
function page.html(title, inner, footer)
  title = page.escape(title)
  return SHELL:format(title, STYLE, title, inner, page.escape(footer))
end

return page
