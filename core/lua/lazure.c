/* SPDX-License-Identifier: MIT */
/* arclua.core.relayinfo: credentials that only C may see. */
#include "lua/lazure.h"

#include <string.h>

#include "lua/lcore.h"

#define RELAYINFO "arclua.relayinfo"

struct arc_relayinfo *arc_checkrelayinfo(lua_State *L, int index) {
  struct arc_relayinfo **box = luaL_checkudata(L, index, RELAYINFO);
  if (!*box) {
    luaL_argerror(L, index, "the relay credentials are closed");
  }
  return *box;
}

void arc_pushrelayinfo(lua_State *L, struct arc_relayinfo *info) {
  void **box = arc_newbox(L, RELAYINFO);
  *box = info;
}

static int relayinfo_gc(lua_State *L) {
  struct arc_relayinfo **box = luaL_checkudata(L, 1, RELAYINFO);
  arc_relayinfo_unref(*box);
  *box = NULL;
  return 0;
}

static int relayinfo_tostring(lua_State *L) {
  lua_pushliteral(L, "<redacted>");
  return 1;
}

static int relayinfo_host(lua_State *L) {
  lua_pushstring(L, arc_checkrelayinfo(L, 1)->host);
  return 1;
}

static int relayinfo_path(lua_State *L) {
  lua_pushstring(L, arc_checkrelayinfo(L, 1)->path);
  return 1;
}

static int relayinfo_expires_on(lua_State *L) {
  double when = arc_checkrelayinfo(L, 1)->expires_on;
  if (when < 0) {
    return 0;
  }
  lua_pushnumber(L, when);
  return 1;
}

static int relayinfo_has_token(lua_State *L) {
  lua_pushboolean(L, arc_checkrelayinfo(L, 1)->service_token != NULL);
  return 1;
}

/* info:export(dir, name): true | nil, err */
static int relayinfo_export(lua_State *L) {
  const struct arc_relayinfo *info = arc_checkrelayinfo(L, 1);
  const char *dir = luaL_checkstring(L, 2);
  const char *name = luaL_checkstring(L, 3);
  luaL_argcheck(L, *name && !strchr(name, '/'), 3, "not a file's name");
  struct arc_err *err = arc_relayinfo_export(info, dir, name);
  if (err) {
    return arc_pushfailnew(L, err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int l_relayinfo(lua_State *L) {
  struct arc_secret *secret = arc_tosecret(L, 1);
  struct arc_err *err = NULL;
  size_t n = secret ? secret->len : 0;
  const char *text = secret ? secret->bytes : luaL_checklstring(L, 1, &n);
  void **box = arc_newbox(L, RELAYINFO);
  *box = arc_relayinfo_parse(text, n, &err);
  return *box ? 1 : arc_pushfailnew(L, err);
}

void arc_open_azure(lua_State *L) {
  static const luaL_Reg methods[] = {{"host", relayinfo_host},
                                     {"path", relayinfo_path},
                                     {"expires_on", relayinfo_expires_on},
                                     {"has_token", relayinfo_has_token},
                                     {"export", relayinfo_export},
                                     {NULL, NULL}};
  arc_newtype(L, RELAYINFO, methods, relayinfo_gc);
  luaL_getmetatable(L, RELAYINFO);
  lua_pushcfunction(L, relayinfo_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_relayinfo);
  lua_setfield(L, -2, "relayinfo");
  arc_opentoken(L);
  arc_openstore(L);
  arc_openrelaycache(L);
  arc_openkeyring(L);
  arc_openmsal(L);
  arc_openarm(L);
}
