-- SPDX-License-Identifier: MIT
-- What may stand at the end of an unfinished command line. Nobody is asked: names of machines are
-- those that were listed before.
local convert = require "arclua.convert"
local globals = require "arclua.cli.globals"

local candidates = {}

-- Arguments of options that are names of machines, by the option's target.
local MACHINES = { names = true, machine = true, name = true, exclude = true }

local function has_prefix(text, prefix)
  return text:sub(1, #prefix) == prefix
end

-- Those of a list of { value, text? } that go on from what was typed.
local function matching(list, typed)
  local out = {}
  for _, one in ipairs(list) do
    if has_prefix(one.value:lower(), typed:lower()) then
      out[#out + 1] = one
    end
  end
  return out
end

local function plain(list)
  local out = {}
  for i, value in ipairs(list) do
    out[i] = { value = value }
  end
  return out
end

local function command_list()
  local out = {}
  for i, name in ipairs(require("arclua.cli").COMMANDS) do
    out[i] = { value = name, text = require("arclua.cli." .. name).summary }
  end
  return out
end

-- The names that are known of the cloud that would be used.
local function machine_names()
  local clouds, config = require "arclua.clouds", require "arclua.config"
  local paths, known = require "arclua.paths", require "arclua.known_machines"
  local settings = config.load(paths.env "ARCLUA_CONFIG") or {}
  local cloud = clouds.load(paths.env "ARCLUA_CLOUD" or settings.cloud)
  return cloud and known.names(require("arclua.credential.store").cloud_key(cloud)) or {}
end

-- Options in one shape: { flags, takes, words?, target, text }.
local function global_options()
  local out = {}
  for i, option in ipairs(globals.OPTIONS) do
    out[i] = { flags = { option.flag }, takes = option.arg ~= nil, text = option.text,
      words = option.convert and convert.words(option.convert) }
  end
  out[#out + 1] = { flags = { "-h", "--help" }, text = "This text." }
  out[#out + 1] = { flags = { "--version" }, text = "Print the version." }
  return out
end

local function target_of(element)
  return element._target or element:_get_default_target()
end

local function options_of(parser)
  local out = {}
  for i, option in ipairs(parser._options) do
    local converter = option._convert
    out[i] = { flags = option._aliases, takes = option._maxargs > 0, target = target_of(option),
      text = option._description,
      words = type(converter) == "function" and convert.words(converter) or nil }
  end
  return out
end

local function by_flag(list, flag)
  for _, option in ipairs(list) do
    for _, name in ipairs(option.flags) do
      if name == flag then
        return option
      end
    end
  end
end

local function flags(list)
  local out = {}
  for _, option in ipairs(list) do
    for _, name in ipairs(option.flags) do
      out[#out + 1] = { value = name, text = option.text }
    end
  end
  return out
end

-- The values of an option; nil: files.
local function values_of(option)
  if option.words then
    return plain(option.words)
  elseif MACHINES[option.target] then
    return plain(machine_names())
  end
  return nil
end

-- The command: its name, and where it stands; nil while it is not there.
local function find_command(words)
  local list, i = global_options(), 1
  while words[i] and i < #words do
    if words[i]:sub(1, 1) ~= "-" then
      return words[i], i
    end
    local option = by_flag(list, words[i])
    i = i + (option and option.takes and 2 or 1)
  end
end

-- What the command's arguments are; nil: files.
local function arguments_of(name, parser)
  if name == "help" then
    return command_list()
  elseif name == "completion" then
    return plain { "bash", "zsh", "fish" }
  end
  for _, argument in ipairs(parser and parser._arguments or {}) do
    if MACHINES[target_of(argument)] then
      return plain(machine_names())
    end
  end
  return nil
end

local function ended(words, from)
  for i = from, #words - 1 do
    if words[i] == "--" then
      return true
    end
  end
  return false
end

-- After an option that takes a value, its values; else flags or arguments.
local function complete(words, list, arguments)
  local typed, before = words[#words], words[#words - 1]
  local option = before and by_flag(list, before)
  if option and option.takes then
    local values = values_of(option)
    return values and matching(values, typed)
  elseif typed:sub(1, 1) == "-" then
    return matching(flags(list), typed)
  end
  local rest = arguments()
  return rest and matching(rest, typed)
end

local function parser_of(name)
  local ok, module = pcall(require, "arclua.cli." .. name)
  if not ok or not module.parser then
    return nil
  end
  local parser = module.parser()
  require("arclua.cli.options").add_globals(parser)
  return parser
end

-- "--os=li" comes from bash as three words, from others as one.
local function separate(words)
  local out = {}
  for _, word in ipairs(words) do
    local flag, value = word:match "^(%-%-[^=]+)=(.*)$"
    if flag then
      out[#out + 1], out[#out + 2] = flag, value
    elseif word ~= "=" then
      out[#out + 1] = word
    end
  end
  if words[#words] == "=" then
    out[#out + 1] = ""
  end
  return out
end

-- Those for words that are separate.
local function of_words(words)
  local name, at = find_command(words)
  if not name then
    return complete(words, global_options(), command_list)
  elseif ended(words, at) then
    return nil
  end
  local parser = parser_of(name)
  return complete(words, parser and options_of(parser) or global_options(), function()
    return arguments_of(name, parser)
  end)
end

--- What may stand in place of the last word: { value, text? } each; nil: a file's name.
---@param words string[]  after the program's name; the last one is unfinished, maybe ""
---@return { value: string, text: string? }[]|nil
function candidates.of(words)
  local flag = (words[#words] or ""):match "^%-%-[^=]+=" -- stays in the word
  local list = of_words(#words == 0 and { "" } or separate(words))
  for _, one in ipairs(flag and list or {}) do
    one.value = flag .. one.value
  end
  return list
end

return candidates
