-- SPDX-License-Identifier: MIT
-- What sessions can do with files: session:sftp(), session:upload(), session:download().
local check = require "arclua.check"
local core = require "arclua.core"
local errors = require "arclua.errors"
local options = require "arclua.copy.options"

local sftp = {}

local TIMEOUT = 30

--- session:sftp(opts): an SFTP connection over a session. Close it, or say <close>.
--- Errors: ssh.no-subsystem, sftp.unavailable, sftp.garbage, and what ends sessions.
---@param session arclua.Session
---@param opts { timeout: number? }?  seconds until it is ready, default 30
---@return arclua.Sftp|nil, arclua.Error?
function sftp.open(session, opts)
  opts = check.options(opts, { timeout = "number" })
  local seconds = opts.timeout or TIMEOUT
  local stream, err = session:subsystem("sftp", { timeout = seconds })
  if not stream then
    return nil, err
  end
  return core.sftp.connect(stream, { timeout = seconds })
end

-- A copy over one session: its outcome | nil, err, outcome.
local function copy(session, upload, sources, destination, opts)
  local checked, err = options.check(opts, 4)
  local own
  if checked then
    own, err = sftp.open(session)
  end
  if not own then
    return nil, err
  end
  local job = require "arclua.copy.job"
  local state = job.state()
  local connection <close> = own
  local ok
  ok, err = job.new({ upload = upload, opts = checked, session = session, sftp = connection,
    os = checked.os, sources = type(sources) == "table" and sources or { sources },
    destination = destination, excluded = checked.excluded, state = state,
    meter = core.sftp.meter(nil, checked.limit_rate) }):run()
  if not ok then
    return nil, err, state.outcome
  elseif state.outcome.failed > 0 then
    local first = state.outcome.failures[1].err
    return nil, state.outcome.failed == 1 and first or errors.new { reason = "copy.failed",
      op = "copy", cause = first, message = ("%d files were not copied; the first: %s"):format(
        state.outcome.failed, first.message) }, state.outcome
  end
  return state.outcome
end

--- session:upload(…): copies local files, and with recursive = true directories, to the machine,
--- each under a temporary name first. Errors: of the first file that was not copied; the outcome
--- says all.
---@param session arclua.Session
---@param sources string|string[]
---@param destination string  a path of the machine's; a directory, or one with a slash at its end,
---   is what things go into
---@param opts arclua.CopyOptions?
---@return arclua.CopyOutcome|nil, arclua.Error?, arclua.CopyOutcome?
function sftp.upload(session, sources, destination, opts)
  return copy(session, true, sources, destination, opts)
end

--- session:download(…): the same from the machine; globs are expanded there, and nothing is ever
--- written outside the destination.
---@param session arclua.Session
---@param sources string|string[]
---@param destination string  a local path
---@param opts arclua.CopyOptions?
---@return arclua.CopyOutcome|nil, arclua.Error?, arclua.CopyOutcome?
function sftp.download(session, sources, destination, opts)
  return copy(session, false, sources, destination, opts)
end

return sftp
