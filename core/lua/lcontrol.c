/* SPDX-License-Identifier: MIT */
#include "emulator/control.h"
#include "lua/lcore.h"

/* Under a protected call: without memory Lua raises, and the token would be
 * lost. */
static int push_control(lua_State *L) {
  static const char *const kinds[] = {"renew", "response", "unknown",
                                      "malformed"};
  const struct arc_control *control = lua_touserdata(L, 1);
  lua_pushstring(L, kinds[control->kind]);
  lua_pushstring(L, control->token);
  return 2;
}

static int l_control(lua_State *L) {
  struct arc_control control;
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  luaL_checkstack(L, 4, NULL);
  if (arc_control_read(&control, text, n)) {
    return luaL_error(L, "out of memory");
  }
  lua_pushcfunction(L, push_control);
  lua_pushlightuserdata(L, &control);
  int rc = lua_pcall(L, 1, 2, 0);
  arc_control_free(&control);
  return rc ? lua_error(L) : 2;
}

void arc_open_control(lua_State *L) {
  lua_pushcfunction(L, l_control);
  lua_setfield(L, -2, "control");
}
