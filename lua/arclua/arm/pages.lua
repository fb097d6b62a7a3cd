-- SPDX-License-Identifier: MIT
-- Lists of ARM, page by page. (Those of Resource Graph are read by graph.lua.)
local errors = require "arclua.errors"

local pages = {}

-- More than any estate has; an endless chain ends here.
local MAX_PAGES, MAX_ENTRIES = 10000, 1000000

local function bad(message, page)
  return errors.fail { reason = "http.bad-answer", op = "arm.list", message = message,
    tracking_id = page and page.request_id, correlation_id = page and page.correlation_id }
end

-- The entries of a page, and the link to the next one: entries, link | nil, err.
local function read(sender, value, page)
  if type(value) ~= "table" or type(value.value) ~= "table" then
    return bad("a list has no 'value'", page)
  end
  local link = value.nextLink or page and page.next_link
  if not link or link == "" then
    return value.value
  elseif type(link) ~= "string" or not sender:owns(link) then
    return bad("a nextLink leads to another host", page)
  end
  return value.value, link
end

local function add(out, entries, each)
  for _, entry in ipairs(entries) do
    if each then
      entry = each(entry)
    end
    out[#out + 1] = entry
  end
end

-- nil when the list may go on, else what is wrong.
local function endless(seen, link, count, out)
  if seen[link] then
    return "a link leads back to an earlier page"
  elseif count >= MAX_PAGES then
    return "more than " .. MAX_PAGES .. " pages"
  elseif #out > MAX_ENTRIES then
    return "more than " .. MAX_ENTRIES .. " entries"
  end
  return nil
end

--- All entries of a list. sender: { owns(url), exchange(request) }; each may translate an entry,
--- nil leaves it out.
---@param request { url: string, headers: table?, timeout: number? }
---@return any[]|nil, arclua.Error?
function pages.all(sender, request, each)
  local out, seen, count, url = {}, {}, 0, request.url
  while url do
    local value, err, page = sender:exchange { url = url, headers = request.headers,
      timeout = request.timeout }
    if value == nil then
      return nil, err
    end
    local entries, link = read(sender, value, page)
    if not entries then
      return nil, link
    end
    add(out, entries, each)
    seen[url], count = true, count + 1
    local wrong = link and endless(seen, link, count, out)
    if wrong then
      return bad(wrong, page)
    end
    url = link
  end
  return out
end

return pages
