/* SPDX-License-Identifier: MIT */
/* arclua.core.relaycache: relay credentials pass between file and userdata
 * without ever being Lua strings. */
#include "azure/relaycache.h"
#include "lua/lazure.h"
#include "lua/lcore.h"

static int l_read(lua_State *L) {
  const char *dir = luaL_checkstring(L, 1);
  const char *key = luaL_checkstring(L, 2);
  int port = 0;
  struct arc_err *err = NULL;
  lua_settop(L, 2);
  arc_pushrelayinfo(L, NULL);
  void **box = lua_touserdata(L, -1);
  *box = arc_relaycache_read(dir, key, &port, &err);
  if (err) {
    return arc_pushfailnew(L, err);
  }
  if (!*box) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, port);
  return 2;
}

static int pushed(lua_State *L, struct arc_err *err) {
  if (err) {
    return arc_pushfailnew(L, err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int l_write(lua_State *L) {
  const char *dir = luaL_checkstring(L, 1);
  const char *key = luaL_checkstring(L, 2);
  const struct arc_relayinfo *info = arc_checkrelayinfo(L, 3);
  lua_Integer port = luaL_checkinteger(L, 4);
  luaL_argcheck(L, port > 0 && port < 65536, 4, "a port expected");
  luaL_argcheck(L, info->expires_on >= 0, 3, "they have no expiry");
  return pushed(L, arc_relaycache_write(dir, key, info, (int)port));
}

static int l_remove(lua_State *L) {
  return pushed(
      L, arc_relaycache_remove(luaL_checkstring(L, 1), luaL_checkstring(L, 2)));
}

static int l_prune(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 2, "seconds expected");
  return pushed(L, arc_relaycache_prune(luaL_checkstring(L, 1), seconds));
}

void arc_openrelaycache(lua_State *L) {
  static const luaL_Reg functions[] = {{"read", l_read},
                                       {"write", l_write},
                                       {"remove", l_remove},
                                       {"prune", l_prune},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "relaycache");
}
