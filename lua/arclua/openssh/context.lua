-- SPDX-License-Identifier: MIT
-- What the connections of one run share: ssh_config, read once; jump hosts; answered questions.
local ask = require "arclua.openssh.ask"
local config = require "arclua.openssh.config"
local core = require "arclua.core"
local defaults = require "arclua.defaults"
local jump = require "arclua.openssh.jump"
local login = require "arclua.openssh.login"
local paths = require "arclua.paths"
local settings = require "arclua.settings"

local Context = {}
Context.__index = Context

local context = {}

---@class arclua.Context
---@field many boolean?   several targets: servers' questions go unasked

--- reach: how a jump host is reached, (target, context, chain) -> session. azure: to find machines
--- among the jump hosts; default: arc.login().
---@param spec { core: table, azure: table?, reach: function, ssh_config: string?,
---   ssh_options: string[]?, log: function?, many: boolean?, ask: boolean? }
---@return arclua.Context
function context.new(spec)
  local self = setmetatable({ core = spec.core, many = spec.many, azure = spec.azure,
    given = spec.ssh_config, options = spec.ssh_options, may_ask = spec.ask,
    keys = core.ssh.keep_keys() }, Context)
  self.log = spec.log or spec.azure and spec.azure.log or defaults.login.log or function() end
  self.ask = ask.new(spec.core, self.log)
  self.jumps = jump.new { core = spec.core,
    reach = function(target, chain)
      return spec.reach(target, self, chain)
    end,
    machine = function(name)
      return self:machine(name)
    end }
  return self
end

--- ssh_config, read at the first use. Errors: config.
---@return arclua.SshConfig|nil, arclua.Error?
function Context:ssh_config()
  if not self.config and not self.config_error then
    local path = self.given or settings.get("ssh_config", self.azure and self.azure.config)
    self.config, self.config_error = config.load(path and paths.expand(path), self.log,
      self.options)
  end
  return self.config, self.config_error
end

local function sign_in(self)
  if not self.azure then
    local azure, err = require("arclua.azure").login()
    if not azure then
      return nil, err
    end
    self.azure = self.azure or azure
  end
  return self.azure
end

--- A machine that is a jump host.
---@return arclua.Machine|nil, arclua.Error?
function Context:machine(name)
  local azure, err = sign_in(self)
  if not azure then
    return nil, err
  end
  return azure:machine(name)
end

--- What a login with Entra needs: the certificate of the target's sign-in, and whom it names.
---@param target table
---@return { certificate: arclua.SshCertificate, user: string }|nil, arclua.Error?
function Context:certificate(target)
  if target.os == "windows" then
    return login.no_entra(target.name)
  end
  local azure, err = target.azure, nil
  if not azure then
    azure, err = sign_in(self)
  end
  if not azure then
    return nil, err
  end
  local certificate, info = azure:ssh_certificate()
  if not certificate then
    return nil, info
  end
  return { certificate = certificate, user = info.user }
end

--- What core.ssh.connect asks with, for a target of this name; nil when nobody is to be asked.
function Context:prompt(name, opts, is_hop)
  local may = opts.ask
  if may == nil then
    may = self.may_ask
  end
  if may == nil then
    may = defaults.interactive
  end
  if not may and not opts.ask_pass then
    return nil
  end
  return self.ask:prompt(name, is_hop or not self.many or opts.ask_pass)
end

--- Ends the jump hosts' sessions, wipes the answers and the keys.
function Context:close()
  self.jumps:close()
  self.ask:close()
  self.keys:close()
end

return context
