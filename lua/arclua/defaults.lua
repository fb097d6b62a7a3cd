-- SPDX-License-Identifier: MIT
-- What the program's global options say, for arc.login and reports in a script. A foreign
-- program leaves these empty.
return {
  ---@type arclua.LoginOptions
  login = {},
  -- The global options as given, and the configuration they name.
  values = {},
  config = {},
  ---@type string?
  color = nil,
  -- The program may ask for passphrases at the terminal; a module may not.
  interactive = false,
}
