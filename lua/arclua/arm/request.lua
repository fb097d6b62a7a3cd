-- SPDX-License-Identifier: MIT
-- ARM for scripts: any request with the sign-in's token, pacing and retries.
local check = require "arclua.check"

--- One request, paced, repeated when ARM throttles or fails, signed in as az.
--- Raises: path or api_version is missing, unknown options.
--- Errors: ARM's (err.reason, err.status), and the network's.
---@param azure arclua.Azure  what arc.login gave
---@param opts { path: string, api_version: string, query: string?, method: string?, body: table?,
---   list: boolean? }  path: from "/subscriptions/..."; method: default GET; list: follow the
---   pages of a list and give all entries
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
