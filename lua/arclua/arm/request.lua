-- SPDX-License-Identifier: MIT
-- ARM for scripts: any request with the sign-in's token, pacing and retries.
local check = require "arclua.check"

--- One request: { path = "/subscriptions/...", api_version =, query =?, method =?, body =? }.
--- list = true follows the pages of a list and gives all entries.
---@param azure arclua.Azure
---@param opts table
---@return any value, arclua.Error?
return function(azure, opts)
  opts = check.options(opts, { path = "string", api_version = "string", query = "string",
    method = "string", body = "table", list = "boolean" })
  for _, name in ipairs { "path", "api_version" } do
    if not opts[name] then
      error("option '" .. name .. "' is missing", 2)
    end
  end
  local url = azure.client:url(opts.path, opts.api_version, opts.query)
  if opts.list then
    return azure.client:list(url)
  end
  return azure.client:request { url = url, method = opts.method, body = opts.body }
end
