rockspec_format = "3.0"
package = "arclua"
version = "scm-1"
source = {
  url = "git+file://.",
}
description = {
  summary = "SSH to Azure Arc-enabled servers, many at a time",
  detailed = [[
    A C core and a Lua module: ARM, Entra tokens, Azure Relay and SSH on one
    event loop, for running commands on fleets of Azure Arc-enabled servers.
  ]],
  license = "MIT",
}
dependencies = {
  "lua >= 5.4, < 5.5",
  "lua-cjson >= 2.1",
  "argparse >= 0.7",
}
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "RelWithDebInfo",
    CMAKE_INSTALL_PREFIX = "$(PREFIX)",
    ARCLUA_PROGRAM = "OFF",
    ARCLUA_LUADIR = "$(LUADIR)",
    ARCLUA_LIBDIR = "$(LIBDIR)",
  },
}
