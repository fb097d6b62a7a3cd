-- SPDX-License-Identifier: MIT
-- arclua completion bash|zsh|fish: a script that asks `arclua completion candidates` at each Tab.
local candidates = require "arclua.cli.candidates"
local command = require "arclua.cli.command"
local options = require "arclua.cli.options"
local output = require "arclua.output"

local completion = { name = "completion", summary = "completion of command lines for a shell" }

local EPILOG = [[
bash:  source <(arclua completion bash)                                in ~/.bashrc
zsh:   source <(arclua completion zsh)                                 in ~/.zshrc
fish:  arclua completion fish > ~/.config/fish/completions/arclua.fish]]

-- Without candidates (status 1) the shell completes files.
local SCRIPTS = {
  bash = [=[
_arclua() {
  local line
  local -a list
  COMPREPLY=()
  mapfile -t list < <("${COMP_WORDS[0]/#\~/$HOME}" completion candidates -- \
    "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null || echo :files)
  if [[ ${list[0]} == :files ]]; then
    compopt -o default
    return
  fi
  for line in "${list[@]}"; do
    printf -v line %q "${line%%$'\t'*}"
    COMPREPLY+=("$line")
  done
}
complete -F _arclua arclua
]=],
  zsh = [=[
#compdef arclua
_arclua() {
  local out line
  local -a values texts
  out=$(${~words[1]} completion candidates -- "${(@Q)words[2,CURRENT]}" 2>/dev/null) || {
    _files
    return
  }
  for line in ${(f)out}; do
    values+=("${line%%$'\t'*}")
    texts+=("${line/$'\t'/  -- }")
  done
  compadd -l -d texts -a values
}
if [ "$funcstack[1]" = _arclua ]; then
  _arclua
else
  compdef _arclua arclua
fi
]=],
  fish = [=[
function __arclua_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] completion candidates -- $words[2..] 2>/dev/null
  or __fish_complete_path (commandline -ct)
end
complete -c arclua -f -a '(__arclua_complete)'
]=],
}

--- The parser of the command's options.
function completion.parser()
  local it = options.parser("arclua completion", "Prints a script by which a shell completes "
    .. "commands, options and the names of machines that were listed before; it asks nobody.",
    "arclua completion bash|zsh|fish"):epilog(EPILOG)
  it:argument("SHELL", "bash, zsh or fish."):target "shell"
  return it
end

local function print_candidates(words)
  local list = candidates.of(words)
  for i, one in ipairs(list or {}) do
    list[i] = one.text and ("%s\t%s\n"):format(one.value, one.text) or one.value .. "\n"
  end
  output.standard(1):write(table.concat(list or {}))
  return list and 0 or 1
end

function completion.run(argv, base)
  if argv[1] == "candidates" and argv[2] == "--" then
    return print_candidates(table.move(argv, 3, #argv, 1, {}))
  end
  local values, status = command.parse(completion.parser(), "completion", argv, base)
  if not values then
    return status
  elseif not SCRIPTS[values.shell] then
    return command.usage("completion", ("argument 'SHELL': bash, zsh or fish expected, got '%s'")
      :format(values.shell))
  end
  output.standard(1):write(SCRIPTS[values.shell])
  return 0
end

return completion
