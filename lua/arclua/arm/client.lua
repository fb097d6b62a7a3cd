-- SPDX-License-Identifier: MIT
-- Any resource of ARM, any api-version: requests, lists, long-running operations, batches. The
-- token goes to the cloud's ARM host only.
local batch = require "arclua.arm.batch"
local check = require "arclua.check"
local errors = require "arclua.errors"
local operation = require "arclua.arm.operation"
local pages = require "arclua.arm.pages"
local senders = require "arclua.arm.sender"

local Client = setmetatable({}, senders.Sender)
Client.__index = Client
Client.__name = "arclua.arm"

---@class arclua.ArmRequest
---@field path string?         from "/subscriptions/..."; what a URL cannot hold is encoded
---@field api_version string?  needed with path
---@field query string|table<string, string|number>|nil  more parameters: "$filter=..." encoded, or
---   by name, which are encoded here
---@field url string?          instead of path: a link of this cloud's ARM, sent as it is
---@field method string?       default GET
---@field body table|string|nil  sent as JSON; a string is JSON already
---@field headers table<string, string>?
---@field if_match string?     an ETag: only if the resource is still so; "*": only if it is there
---@field if_none_match string?  "*": only if it is not there yet
---@field timeout number?      seconds for each try; default 60
---@field replay boolean?      whether it may be sent again when an answer was lost; default true,
---   but not for POST, PATCH and a PUT that runs a command
---@field wait boolean|number|nil  follow a long-running operation to its end: true, or seconds
---   (3600)
---@field final string?        "async": the result of a POST is in the operation's last state
---@field progress fun(status: string)?  told how far a long-running operation is, at each look

---@class arclua.ArmAnswer
---@field status integer
---@field etag string?
---@field operation arclua.ArmOperation?  began here and is not over: for az.arm:poll
---@field retry_after number?
---@field request_id string?
---@field correlation_id string?
---@field headers table<string, string>  some of them, names in lower case

local RULES = { path = "string", api_version = "string", query = "string|table", url = "string",
  method = "string", body = "table|string", headers = "table", if_match = "string",
  if_none_match = "string", timeout = "number", replay = "boolean", wait = "boolean|number",
  final = "string", progress = "function" }

local LIST_RULES = { path = "string", api_version = "string", query = "string|table",
  url = "string", headers = "table", timeout = "number", each = "function" }

---@param spec arclua.ArmSpec
---@return arclua.ArmClient
local function new(spec)
  return setmetatable(senders.new(spec), Client)
end

local function foreign(url)
  return errors.fail { code = "config", op = "arm.request",
    message = ("'%s' is not of this cloud's ARM"):format(url:match "^[^?]*"),
    remedy = "the sign-in's token goes to ARM only: name the path, or a link that ARM gave" }
end

-- The URL that options mean. Raises: neither path nor url.
local function target(self, opts, level)
  if opts.url then
    if not self:owns(opts.url) then
      return foreign(opts.url)
    end
    return opts.url
  elseif not opts.path or not opts.api_version then
    error(("option '%s' is missing"):format(opts.path and "api_version" or "path"), level + 1)
  elseif opts.path:sub(1, 1) ~= "/" then
    error("option 'path': '/...' expected, got '" .. opts.path .. "'", level + 1)
  end
  return self:url(opts.path, opts.api_version, opts.query)
end

local function wait_options(opts)
  return { timeout = type(opts.wait) == "number" and opts.wait or nil, final = opts.final,
    progress = opts.progress }
end

--- One request, paced, repeated when ARM throttles or fails, signed in as az. ARM's errors hold its
--- own words, too: err.service_code ("ResourceNotFound"), err.target, and for Azure's support
--- err.tracking_id and err.correlation_id.
--- Raises: path or api_version is missing, unknown options.
--- Errors: ARM's (err.reason, err.status), and the network's; with wait also
--- arm.operation-failed, arm.operation-timeout and arm.operation-unknown, whose err.operation
--- az.arm:poll takes.
---@param opts arclua.ArmRequest
---@return any value, arclua.Error? err, arclua.ArmAnswer? answer  value: the decoded JSON (null
---   members left out), true when there is no body
function Client:request(opts)
  opts = check.options(opts, RULES)
  local url, err = target(self, opts, 2)
  if not url then
    return nil, err
  end
  local request = setmetatable({ url = url }, { __index = opts })
  local value, page
  value, err, page = self:exchange(request)
  if value == nil then
    return nil, err, page
  end
  local began
  began, err = operation.of(self, opts.method or "GET", url, value, page)
  if err then
    return nil, err, page
  elseif began and opts.wait then
    return operation.wait(self, began, wait_options(opts))
  elseif began then
    page.operation = began
  end
  return value, nil, page
end

--- Follows a long-running operation to its end: the resource (PUT, PATCH), the result (POST), true
--- (DELETE).
--- Raises: not an operation, unknown options.
--- Errors: arm.operation-failed (Azure's words), arm.operation-timeout (it goes on there),
--- arm.operation-unknown, and those of az.arm:request.
---@param it arclua.ArmOperation  answer.operation, also of an earlier run
---@param opts { timeout: number?, final: string?, progress: fun(status: string)? }?  timeout:
---   seconds, default 3600
---@return any value, arclua.Error? err, arclua.ArmAnswer? answer
function Client:poll(it, opts)
  opts = check.options(opts, { timeout = "number", final = "string", progress = "function" })
  if type(it) ~= "table" or type(it.poll) ~= "string" or type(it.url) ~= "string" then
    error("operation: what az.arm:request gave expected", 2)
  end
  for _, url in ipairs { it.poll, it.url, it.location } do
    if not self:owns(url) then
      return foreign(url)
    end
  end
  return operation.wait(self, it, opts)
end

--- All entries of a list, whatever the number of its pages. (Rows of Resource Graph: az:query.)
--- Raises: as az.arm:request; each is no function.
--- Errors: as az.arm:request; protocol (http.bad-answer) when a link leads to another host, or
--- the pages have no end.
---@param opts { path: string?, api_version: string?, query: string|table|nil, url: string?,
---   headers: table?, timeout: number?, each: (fun(entry: table): any)? }|string  as of
---   az.arm:request; each translates an entry, or leaves it out by giving nil; a string: the URL
---@param each (fun(entry: table): any)?
---@return any[]|nil, arclua.Error?
function Client:list(opts, each)
  opts = check.options(type(opts) == "string" and { url = opts } or opts, LIST_RULES)
  local url, err = target(self, opts, 2)
  if not url then
    return nil, err
  end
  return pages.all(self, { url = url, headers = opts.headers, timeout = opts.timeout },
    each or opts.each)
end

--- Several GETs, 20 in one request to ARM. Each entry is allowed, counted and answered by itself.
--- Raises: as az.arm:request, an entry that is no GET.
--- Errors: those that concern all: no token, no network.
---@param list arclua.ArmRequest[]
---@return { value: any, err: arclua.Error?, status: integer? }[]|nil, arclua.Error?  in the order
---   of the list
function Client:batch(list)
  local urls = {}
  for i, entry in ipairs(list) do
    local opts = check.options(entry, RULES)
    if opts.method and opts.method ~= "GET" then
      error("a batch takes GETs, not " .. opts.method, 2)
    end
    local url, err = target(self, opts, 2)
    if not url then
      return nil, err
    end
    urls[i] = url
  end
  return batch.get(self, urls)
end

return { new = new }
