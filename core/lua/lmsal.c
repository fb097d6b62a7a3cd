/* SPDX-License-Identifier: MIT */
/* arclua.core.msal: the token cache of Microsoft's libraries, read only. */
#include "azure/msalcache.h"
#include "lua/lazure.h"
#include "lua/lcore.h"
#include "util/secretfile.h"

enum { CACHE_MAX = 4 * 1024 * 1024, HOSTS_MAX = 16 };

static const struct arc_opt find_options[] = {
    {"username", ARC_OPT_STRING, offsetof(struct arc_msal_query, username),
     true, 0, 0},
    {"tenant", ARC_OPT_STRING, offsetof(struct arc_msal_query, tenant), false,
     0, 0},
    {"home_tenant", ARC_OPT_STRING,
     offsetof(struct arc_msal_query, home_tenant), false, 0, 0},
    {"client_id", ARC_OPT_STRING, offsetof(struct arc_msal_query, client_id),
     true, 0, 0},
    {"hosts", ARC_OPT_ANY, 0, true, 0, 0},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

/* Leaves the strings on the stack. */
static void check_hosts(lua_State *L, const char *hosts[HOSTS_MAX + 1]) {
  if (lua_getfield(L, 2, "hosts") != LUA_TTABLE) {
    luaL_error(L, "option 'hosts': table expected, got %s",
               luaL_typename(L, -1));
  }
  int table = lua_gettop(L);
  lua_Integer n = luaL_len(L, table);
  if (n > HOSTS_MAX) {
    luaL_error(L, "option 'hosts': at most %d strings expected", HOSTS_MAX);
  }
  luaL_checkstack(L, HOSTS_MAX, "hosts");
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_geti(L, table, i) != LUA_TSTRING) {
      luaL_error(L, "option 'hosts': strings expected, got %s",
                 luaL_typename(L, -1));
    }
    hosts[i - 1] = lua_tostring(L, -1);
  }
  hosts[n] = NULL;
}

static int l_refresh_token(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const char *hosts[HOSTS_MAX + 1];
  struct arc_msal_query query = {.hosts = hosts};
  struct arc_secret *text = NULL;
  uid_t owner;
  arc_checkoptions(L, 2, find_options, &query);
  check_hosts(L, hosts);
  struct arc_err *err =
      arc_secretfile_read(path, CACHE_MAX, true, &text, &owner);
  if (err) {
    return arc_pushfailnew(L, err);
  }
  struct arc_secret *found =
      arc_msalcache_find(text->bytes, text->len, &query, &err);
  arc_secret_unref(text);
  if (err) {
    return arc_pushfailnew(L, err);
  }
  arc_pushsecret(L, found);
  return 1;
}

void arc_openmsal(lua_State *L) {
  static const luaL_Reg functions[] = {{"refresh_token", l_refresh_token},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "msal");
}
