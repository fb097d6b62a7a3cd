-- SPDX-License-Identifier: MIT
-- The keywords of ssh_config that count here, and how their words become values.
local keywords = {}

local SWITCH = { yes = true, ["true"] = true, no = false, ["false"] = false }

local function text(list)
  return list[1]
end

-- As ssh does.
local function lower(list)
  return list[1]:lower()
end

local function switch(list)
  return SWITCH[list[1]:lower()], "yes or no"
end

local function port(list)
  local value = list[1]:find "^%d+$" and math.tointeger(tonumber(list[1]))
  return value and value >= 1 and value <= 65535 and value or nil, "a number from 1 to 65535"
end

local MULTIPLES = { s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

local function seconds(list)
  local number, unit = list[1]:lower():match "^(%d+)([smhdw]?)$"
  if not number or #number > 9 then
    return nil, "a time expected, such as 30 or 2m"
  end
  return tonumber(number) * (MULTIPLES[unit] or 1), "a time"
end

local function all(list)
  return list
end

-- "ask" accepts nothing unasked, and here nobody is asked.
local POLICIES = { yes = "yes", ask = "yes", ["accept-new"] = "accept-new", no = "no", off = "no",
  ["true"] = "yes", ["false"] = "no" }

local function policy(list)
  return POLICIES[list[1]:lower()], "yes, ask, accept-new, no or off"
end

local TTY = { no = "no", ["false"] = "no", yes = "yes", ["true"] = "yes", force = "force",
  auto = "auto" }

local function tty(list)
  return TTY[list[1]:lower()], "no, yes, force or auto"
end

local SESSIONS = { none = "none", subsystem = "subsystem", default = "default" }

local function session(list)
  return SESSIONS[list[1]:lower()], "none, subsystem or default"
end

local function mask(list)
  return list[1]:find "^0?[0-7][0-7]?[0-7]?$" and tonumber(list[1], 8) or nil, "an octal mask"
end

-- The line as it stands: quotes and all are the remote shell's.
local function rest(_, line)
  return line.rest
end

local function escape(list)
  local value = list[1]
  if value:lower() == "none" then
    return "none"
  elseif value:find "^%^[@-_a-z]$" then
    return string.char(value:upper():byte(2) & 31)
  end
  return #value == 1 and value or nil, "a character, ^ and a letter, or none"
end

--- read(words, line): the value | nil, what was expected. many: every line adds one; else the first
--- line counts.
keywords.KNOWN = {
  user = { read = text }, port = { read = port }, hostname = { read = text },
  hostkeyalias = { read = lower }, proxyjump = { read = text }, proxycommand = { read = text },
  identityfile = { read = text, many = true }, certificatefile = { read = text, many = true },
  identitiesonly = { read = switch }, identityagent = { read = text },
  userknownhostsfile = { read = all }, stricthostkeychecking = { read = policy },
  serveraliveinterval = { read = seconds }, preferredauthentications = { read = text },
  hashknownhosts = { read = switch },
  passwordauthentication = { read = switch }, pubkeyauthentication = { read = switch },
  kbdinteractiveauthentication = { read = switch },
  challengeresponseauthentication = { read = switch }, batchmode = { read = switch },
  connecttimeout = { read = seconds },
  -- Of the client `arclua ssh`.
  sendenv = { read = all, many = true }, setenv = { read = all }, forwardagent = { read = text },
  requesttty = { read = tty }, escapechar = { read = escape }, remotecommand = { read = rest },
  sessiontype = { read = session }, stdinnull = { read = switch },
  forkafterauthentication = { read = switch },
  localforward = { read = all, many = true }, remoteforward = { read = all, many = true },
  dynamicforward = { read = all, many = true }, exitonforwardfailure = { read = switch },
  clearallforwardings = { read = switch }, gatewayports = { read = switch },
  streamlocalbindmask = { read = mask }, streamlocalbindunlink = { read = switch },
}

local function set(text_)
  local out = {}
  for word in text_:gmatch "%S+" do
    out[word] = true
  end
  return out
end

--- Keywords that ssh knows, and that change nothing here that anybody would miss.
keywords.IGNORED = set [[
  addkeystoagent addressfamily canonicaldomains canonicalizefallbacklocal canonicalizehostname
  canonicalizemaxdots canonicalizepermittedcnames checkhostip compression connectionattempts
  controlmaster controlpath controlpersist enableescapecommandline enablesshkeysign fingerprinthash
  forwardx11 forwardx11timeout forwardx11trusted globalknownhostsfile gssapiauthentication
  gssapidelegatecredentials hostbasedauthentication ignoreunknown include ipqos loglevel logverbose
  nohostauthenticationforlocalhost nopasswordprompt numberofpasswordprompts
  obscurekeystroketiming permitlocalcommand proxyusefdpass rekeylimit requiredrsasize
  serveralivecountmax syslogfacility tag tcpkeepalive tunnel updatehostkeys verifyhostkeydns
  visualhostkey xauthlocation]]

--- Keywords that ssh knows and that would be missed: said on the command line they are refused.
keywords.MISSING = set [[
  bindaddress bindinterface casignaturealgorithms ciphers hostbasedacceptedalgorithms
  hostkeyalgorithms kexalgorithms knownhostscommand localcommand macs permitremoteopen
  pkcs11provider proxycommand pubkeyacceptedalgorithms pubkeyacceptedkeytypes revokedhostkeys
  securitykeyprovider tunneldevice]]

return keywords
