-- SPDX-License-Identifier: MIT
-- Asking for secrets: at the terminal, or by SSH_ASKPASS; one question at a time, and each key's
-- passphrase once, however many machines wait for it.
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local Ask = {}
Ask.__index = Ask

local ask = {}

local REQUIRE = "SSH_ASKPASS_REQUIRE"

---@param core table  the primitives
---@param log fun(level: string, text: string)
---@return arclua.Ask
function ask.new(core, log)
  return setmetatable({ core = core, log = log, answers = {} }, Ask)
end

local function nobody(why)
  return errors.fail { code = "config", op = "ask", message = why,
    remedy = "run it at a terminal, set SSH_ASKPASS, or load the key into an SSH agent" }
end

local function by_program(self, program, text)
  local process, err = self.core.process.spawn { args = { program, text }, stdin = "null",
    without_secrets = true }
  if not process then
    return nil, errors.with(err, { message = "SSH_ASKPASS: " .. err.message })
  end
  local held <close> = process
  local secret
  secret, err = self.core.read_secret(held:stdout())
  local ended, why = held:wait()
  if not ended then
    return nil, why
  elseif ended.status ~= 0 or not secret then
    return nil, err and err.code == "cancelled" and err or errors.new { code = "auth", op = "ask",
      message = "SSH_ASKPASS gave no answer" }
  end
  return secret
end

local function at_terminal(self, text, echo)
  local terminal, err = self.core.terminal(echo)
  if not terminal then
    return nil, err
  end
  local ok
  ok, err = terminal:write(text)
  if not ok then
    terminal:close()
    return nil, err
  end
  return self.core.read_secret(terminal)
end

local ENDED = { cancelled = true, timeout = true, closed = true, limit = true }

-- As ssh chooses, but a program that was named needs no DISPLAY.
local function put(self, text, echo)
  local program, how = paths.env "SSH_ASKPASS", paths.env(REQUIRE) or ""
  if program and (how == "force" or how == "prefer") then
    return by_program(self, program, text)
  elseif how == "force" then
    return nobody(REQUIRE .. " is force, but SSH_ASKPASS is not set")
  end
  local secret, err = at_terminal(self, text, echo)
  if secret or ENDED[err.code] then
    return secret, err
  elseif program and how ~= "never" then
    return by_program(self, program, text)
  end
  return nobody "there is no terminal to ask on, and SSH_ASKPASS is not set"
end

--- Asks one question. Errors: config (nobody to ask), auth, closed, cancelled.
---@param text string
---@param echo boolean?
---@return arclua.Secret|nil, arclua.Error?
function Ask:line(text, echo)
  self.free = self.free or self.core.cond()
  while self.busy do
    local ok, err = self.free:wait()
    if not ok then
      return nil, err
    end
  end
  self.busy = true
  local secret, err = put(self, text, echo or false)
  self.busy = false
  self.free:signal()
  return secret, err
end

-- The answer to a question that all who ask it share. The task belongs to nobody: one who is
-- cancelled does not take the answer from the others.
local function shared(self, key, text)
  self.answers[key] = self.answers[key] or self.core.spawn(self.line, self, text)
  return self.answers[key]:await()
end

--- The password of the run, asked once.
---@return arclua.Secret|nil, arclua.Error?
function Ask:password()
  return shared(self, "password", "Password for all machines: ")
end

-- A key that stays locked is left out; it is said once a key.
local function passphrase(self, question)
  local secret, err = shared(self, ("%s\0%d"):format(question.path or "", question.attempt),
    question.text)
  local told = "told\0" .. (question.path or "")
  if not secret and err.code == "config" and not self.answers[told] then
    self.answers[told] = true
    self.log("warn", ("%s is encrypted, and is left out: %s"):format(question.path, err.message))
  end
  return secret
end

--- What core.ssh.connect asks with, for a machine of this name. alone: nobody else's questions
--- can come meanwhile, so that the server's own are asked, too.
---@return fun(question: arclua.SshQuestion): arclua.Secret?
function Ask:prompt(name, alone)
  return function(question)
    if question.kind == "passphrase" then
      return passphrase(self, question)
    elseif not alone then
      return nil
    end
    local text = question.text
    if question.kind == "keyboard-interactive" then
      local said = (question.instruction or "") ~= "" and question.instruction .. "\n" or ""
      text = said .. ("%s: %s"):format(name, text)
    end
    return (self:line(text, question.echo))
  end
end

--- Wipes what was answered.
function Ask:close()
  for key, task in pairs(self.answers) do
    if task ~= true then
      task:cancel()
      local secret = task:await()
      if secret then
        secret:close()
      end
    end
    self.answers[key] = nil
  end
end

return ask
