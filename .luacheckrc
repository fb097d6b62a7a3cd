-- SPDX-License-Identifier: MIT
std = "lua54"
max_line_length = 100
max_cyclomatic_complexity = 12
exclude_files = { "lua/arclua/_meta" }
files["scripts"] = { globals = { "arg" } }
files["spec"] = { std = "+busted" }
files["lua/arclua/cli"] = { globals = { "arg", "arc" } }
