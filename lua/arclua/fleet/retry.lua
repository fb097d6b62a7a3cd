-- SPDX-License-Identifier: MIT
-- Another connection, as long as the command was not sent.
local retry = {}

local PAUSES = { 1, 2, 5 }
-- The relay's and ARM's own policies have had their say already.
local OWN_POLICY = { relay = true, arm = true, entra = true, cred = true }

--- Whether another connection may help: it was refused, broken off or too slow.
---@param err arclua.Error
---@return boolean
function retry.worth(err)
  local room = err.reason and err.reason:match "^(%a+)%."
  if err.reason == "relay.reset" or err.reason == "ssh.lost" then
    return true
  end
  return err.retryable and not OWN_POLICY[room]
end

--- Calls try until it gives an answer, or an error that is not worth another try.
---@param opts { retries: integer }
---@param core table
---@param try fun(): any, arclua.Error?
---@return any, arclua.Error?
function retry.run(opts, core, try)
  local left = opts.retries
  while true do
    local answer, err = try()
    if answer or left <= 0 or not retry.worth(err) then
      return answer, err
    end
    local done = opts.retries - left + 1
    left = left - 1
    local pause = (PAUSES[done] or PAUSES[#PAUSES]) * (0.8 + 0.4 * math.random())
    local ok, ended = core.sleep(pause)
    if not ok then
      return nil, ended.code == "cancelled" and ended or err
    end
  end
end

return retry
