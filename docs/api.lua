-- SPDX-License-Identifier: MIT
-- Writes docs/api.md from the comments of the Lua files:
--   lua5.4 docs/api.lua > docs/api.md
-- A block of --- lines documents the function or class that follows it. Its tags are LuaCATS'
-- @class, @field, @param and @return; a line that goes on after a tag is indented.
local api = {}

local WIDTH = 118

-- What the reference shows, in order. prefix: local name -> what a user writes. classes: only
-- these. returned: the name of a module that is one function.
api.SECTIONS = {
  { title = "The module", file = "lua/arclua/init.lua", prefix = { arc = "arc" },
    intro = "`local arc = require \"arclua\"`. Inside `arclua run` and the REPL the program's own "
      .. "copy is found; for `lua5.4` install the module." },
  { title = "Signing in, finding machines", file = "lua/arclua/azure.lua",
    prefix = { Azure = "az", Machine = "machine" },
    intro = "`az` is what `arc.login` gives, `machine` one entry of `az:machines` or what "
      .. "`az:machine` gives." },
  { title = "Selectors", file = "lua/arclua/select.lua", classes = { "arclua.Selector" },
    intro = "Values of one kind mean \"or\", different kinds mean \"and\"." },
  { title = "Machines", file = "lua/arclua/arm/machines.lua",
    classes = { "arclua.MachineData" } },
  { title = "Connecting", file = "lua/arclua/connect.lua", classes = { "arclua.ConnectOptions" },
    intro = "Taken by `machine:ssh`, `arc.ssh` and, with more, by `arc.fleet`." },
  { title = "Fleets", file = "lua/arclua/fleet/init.lua", prefix = { Fleet = "fleet" } },
  { title = "Copies", file = "lua/arclua/copy/options.lua", classes = { "arclua.CopyOptions" },
    intro = "Taken by `session:upload`, `session:download`, and with those of the fleet by "
      .. "`fleet:upload` and `fleet:download`." },
  { title = "Files over a session", file = "lua/arclua/sftp.lua", prefix = { sftp = "sftp" },
    intro = "Sessions have them as methods: `session:sftp(opts)`, `session:upload(sources, "
      .. "destination, opts)`, `session:download(…)`. What an SFTP connection can do is below, with "
      .. "the primitives." },
  { title = "The outcome of a copy", file = "lua/arclua/copy/job.lua",
    classes = { "arclua.CopyOutcome" } },
  { title = "Results", file = "lua/arclua/fleet/record.lua", classes = { "arclua.Result" } },
  { title = "Reports", file = "lua/arclua/report/init.lua", prefix = { Report = "report" } },
  { title = "Credentials", file = "lua/arclua/credential/init.lua",
    prefix = { credential = "arc.credential" } },
  { title = "Stored sign-ins", file = "lua/arclua/accounts.lua",
    prefix = { accounts = "arc.accounts" },
    classes = { "arclua.SignInOptions", "arclua.Account" } },
  { title = "Lists in parallel", file = "lua/arclua/map.lua", returned = "arc.map" },
  { title = "Command lines", file = "lua/arclua/cli/parse.lua",
    prefix = { cli_parse = "arc.cli" } },
  { title = "ARM requests", file = "lua/arclua/arm/request.lua", returned = "arc.arm.request" },
  { title = "Errors", file = "lua/arclua/errors.lua", prefix = { errors = "arc.errors" },
    classes = { "arclua.ErrorSpec" } },
  { title = "JSON", file = "lua/arclua/json.lua", prefix = { json = "arc.json" } },
  { title = "The emulator", file = "lua/arclua/emulator/init.lua",
    prefix = { emulator = "arc.emulator", Emulator = "emulator" } },
  { title = "The primitives", file = "lua/arclua/_meta/core.lua", primitives = true,
    prefix = { core = "core", Task = "task", Stream = "stream", Process = "process" },
    intro = "`local core = require \"arclua.core\"`: the C functions below everything above. "
      .. "Whatever waits gives its value, or `nil, err`. Times are seconds." },
  { title = "The primitives: network", file = "lua/arclua/_meta/net.lua", primitives = true,
    prefix = { core = "core", RelayInfo = "relayinfo" } },
  { title = "The primitives: SSH", file = "lua/arclua/_meta/ssh.lua", primitives = true,
    prefix = { core = "core", Session = "session" } },
  { title = "The primitives: SFTP", file = "lua/arclua/_meta/sftp.lua", primitives = true,
    prefix = { core = "core", Sftp = "sftp", SftpFile = "file", Meter = "meter",
      LocalRoot = "root", LocalFile = "localfile" } },
  { title = "The primitives: servers", file = "lua/arclua/_meta/server.lua", primitives = true,
    prefix = { core = "core", Server = "server", Conn = "conn" } },
}

local function lines_of(path)
  local list = {}
  for line in io.lines(path) do
    list[#list + 1] = line
  end
  return list
end

-- Adds one --- line to a block; a line indented by three goes on with the last tag. A class ends
-- where anything but its fields comes: `done` gets its block, and the rest is a block of its own.
-- Returns the block to go on with.
local function take(block, text, done)
  local tag, rest = text:match "^@(%a+)%s*(.*)$"
  local more = text:match "^%s%s%s+(.*)$"
  if block.class and tag ~= "field" and not more then
    done(block)
    block = {}
  end
  block.class = block.class or tag == "class"
  if tag then
    block[#block + 1] = { tag = tag, text = rest }
  elseif more and #block > 0 and block[#block].tag ~= "text" then
    block[#block].text = block[#block].text .. " " .. more
  else
    block[#block + 1] = { tag = "text", text = text:gsub("^%s+", "") }
  end
  return block
end

-- What a line declares: prefix, separator and name of a function, or nil.
local function declared(line)
  local prefix, mark, name, args = line:match "^function ([%w_.]-)([.:])([%w_]+)(%b())"
  if not name then
    args = line:match "^return function(%b())"
    return args and {}, args
  end
  return { prefix = prefix, mark = mark, name = name }, args
end

local function trailing(line)
  return line:match "%send%s+%-%-%s*(.*)$"
end

-- The parts of a file: { block =, fn =, args = }, in order.
local function parts_of(path)
  local parts, block = {}, {}
  local function done(class)
    parts[#parts + 1] = { block = class }
  end
  for _, line in ipairs(lines_of(path)) do
    local text = line:match "^%-%-%-([^-].*)$"
    if text or line == "---" then
      block = take(block, text or "", done)
    else
      local fn, args = declared(line)
      local late = fn and trailing(line)
      if late then
        block = take(block, late, done)
      elseif fn and block.class then
        done(block)
        block = {}
      end
      if fn or #block > 0 then
        parts[#parts + 1] = { block = block, fn = fn, args = args }
      end
      block = {}
    end
  end
  return parts
end

local function tags(block, name)
  local list = {}
  for _, entry in ipairs(block) do
    if entry.tag == name then
      list[#list + 1] = entry.text
    end
  end
  return list
end

-- text for Markdown: a < outside code is no tag.
local function safe(text)
  return (text:gsub("`[^`]*`", function(code)
    return (code:gsub("<", "\0"))
  end):gsub("<", "\\<"):gsub("%z", "<"))
end

-- The text of a block; what it says of errors and raising begins a line.
local function prose(block)
  local text = safe(table.concat(tags(block, "text"), " "))
  for _, word in ipairs { "Errors", "Raises" } do
    text = text:gsub("%s+(" .. word .. ": )", "\n\n%1")
  end
  return text
end

local function wrap(text, first, later)
  local out, line = {}, first
  local empty = true
  for word in text:gmatch "%S+" do
    if not empty and #line + #word + 1 > WIDTH then
      out[#out + 1] = line
      line, empty = later, true
    end
    line = line .. (empty and "" or " ") .. word
    empty = false
  end
  out[#out + 1] = line
  return table.concat(out, "\n")
end

local function paragraphs(text)
  local out = {}
  for part in (text .. "\n\n"):gmatch "(.-)\n\n+" do
    if part:find "%S" then
      out[#out + 1] = wrap(part, "", "")
    end
  end
  return table.concat(out, "\n\n")
end

-- "name type  text" as a line of a list; two blanks end the type.
local function item(text)
  local name, kind, what = text:match "^(%S+)%s+(.-)%s%s+(.*)$"
  if not name then -- a type without blanks needs only one after it
    name, kind, what = text:match "^(%S+)%s+([^%s<({]+)%s+(.*)$"
  end
  if not name then
    name, kind = text:match "^(%S+)%s+(.*)$"
  end
  if not name then
    name, kind = text, "any"
  end
  local line = ("`%s` `%s`%s"):format(name, kind, what and ": " .. safe(what) or "")
  return wrap(line, "* ", "  ")
end

local function public_name(section, fn)
  if section.returned then
    return not fn.name and section.returned or nil
  end
  local head, tail = (fn.prefix or ""):match "^([^.]+)(.*)$"
  local shown = head and section.prefix and section.prefix[head]
  if not shown or fn.name:find "^_" then
    return nil
  end
  return shown .. tail .. fn.mark .. fn.name
end

local function function_text(name, part)
  local out = { ("#### `%s%s`"):format(name, part.args) }
  local text = paragraphs(prose(part.block))
  if text ~= "" then
    out[#out + 1] = text
  end
  local list = {}
  for _, param in ipairs(tags(part.block, "param")) do
    list[#list + 1] = item(param)
  end
  for _, returned in ipairs(tags(part.block, "return")) do
    local kind, what = returned:match "^(.-)%s%s+(.*)$"
    list[#list + 1] = wrap(("Returns `%s`%s"):format(kind or returned,
      what and ": " .. safe(what) or ""), "* ", "  ")
  end
  if #list > 0 then
    out[#out + 1] = table.concat(list, "\n")
  end
  return table.concat(out, "\n\n")
end

local function class_text(head, block)
  local name, what = head:match "^([%w.]+)%s*(.*)$"
  local base = what:match "^:%s*([%w.]+)"
  what = what:gsub("^:%s*[%w.]+%s*", "")
  local out = { "#### `" .. name .. "`" }
  local text = prose(block)
  if what ~= "" then
    text = text .. " " .. safe(what)
  end
  if base then
    text = text .. ("\n\nAll that `%s` has, and:"):format(base)
  end
  if text:find "%S" then
    out[#out + 1] = paragraphs(text)
  end
  local list = {}
  for _, field in ipairs(tags(block, "field")) do
    list[#list + 1] = item(field)
  end
  if #list > 0 then
    out[#out + 1] = table.concat(list, "\n")
  end
  return table.concat(out, "\n\n")
end

local function wanted_class(section, name)
  if not section.classes then
    return true
  end
  for _, class in ipairs(section.classes) do
    if class == name then
      return true
    end
  end
  return false
end

-- The blocks of a primitive by its name, for those that the module hands on.
local function primitives()
  local found = {}
  for _, part in ipairs(parts_of "lua/arclua/_meta/core.lua") do
    if part.fn and part.fn.prefix == "core" then
      found[part.fn.name] = part
    end
  end
  return found
end

-- Calls see(name, part) for each public function and class(name, block) for each class.
local function walk(section, see, class)
  local core = section.title == "The module" and primitives()
  if core then
    for _, line in ipairs(lines_of(section.file)) do
      for name, primitive in line:gmatch "%f[%w_]([%w_]+) = core%.([%w_]+)" do
        if core[primitive] then
          see("arc." .. name, core[primitive])
        end
      end
    end
  end
  for _, part in ipairs(parts_of(section.file)) do
    local head = tags(part.block, "class")[1]
    if head and class and wanted_class(section, head:match "^[%w.]+") then
      class(head, part.block)
    end
    local name = part.fn and public_name(section, part.fn)
    if name then
      see(name, part)
    end
  end
end

--- Every public function: { name =, text =, returns = }.
---@return table[]
function api.functions()
  local list = {}
  for _, section in ipairs(api.SECTIONS) do
    walk(section, function(name, part)
      list[#list + 1] = { name = name, text = prose(part.block), primitive = section.primitives,
        returns = #tags(part.block, "return") > 0 }
    end)
  end
  return list
end

local function anchor(title)
  return (title:lower():gsub("[^%w%- ]", ""):gsub(" ", "-"))
end

--- The whole page.
---@return string
function api.page()
  local out = { "# The Lua API",
    "Made from the comments of the source by `lua5.4 docs/api.lua > docs/api.md`; do not edit.",
    paragraphs("A function that may fail gives its value, or `nil` and an `arclua.Error`. Wrong "
      .. "use (an unknown option, a wrong type) raises. `?` after a type means that it may be "
      .. "left out. How to use all this: [Writing scripts](scripts.md).") }
  local index = {}
  for i, section in ipairs(api.SECTIONS) do
    index[i] = ("* [%s](#%s)"):format(section.title, anchor(section.title))
  end
  out[#out + 1] = table.concat(index, "\n")
  for _, section in ipairs(api.SECTIONS) do
    out[#out + 1] = "## " .. section.title
    if section.intro then
      out[#out + 1] = paragraphs(section.intro)
    end
    walk(section, function(name, part)
      out[#out + 1] = function_text(name, part)
    end, function(head, block)
      out[#out + 1] = class_text(head, block)
    end)
  end
  return table.concat(out, "\n\n") .. "\n"
end

if arg and arg[0] and arg[0]:find "api%.lua$" then
  io.write(api.page())
end

return api
