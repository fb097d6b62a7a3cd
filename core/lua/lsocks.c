/* SPDX-License-Identifier: MIT */
/* SOCKS, the server's side: core.socks(). */
#include <string.h>

#include "lua/lcore.h"
#include "net/socks.h"

#define SOCKS "arclua.socks"

static int l_need(lua_State *L) {
  const struct arc_socks *socks = luaL_checkudata(L, 1, SOCKS);
  lua_pushinteger(L, (lua_Integer)arc_socks_need(socks));
  return 1;
}

static void push_reply(lua_State *L, const struct arc_socks *socks) {
  lua_pushlstring(L, (const char *)socks->reply, socks->reply_len);
}

/* feed(bytes): "more" | "answer", reply | "connect", host, port | "refused",
 * reply, why. */
static int l_feed(lua_State *L) {
  static const char *const steps[] = {"more", "answer", "connect", "refused"};
  struct arc_socks *socks = luaL_checkudata(L, 1, SOCKS);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  luaL_argcheck(L, n && n <= arc_socks_need(socks), 2,
                "at most as many bytes as are needed expected");
  enum arc_socks_step step = arc_socks_feed(socks, bytes, n);
  lua_pushstring(L, steps[step]);
  switch (step) {
  case ARC_SOCKS_MORE:
    return 1;
  case ARC_SOCKS_CONNECT:
    lua_pushstring(L, socks->host);
    lua_pushinteger(L, socks->port);
    return 3;
  case ARC_SOCKS_REFUSED:
    push_reply(L, socks);
    lua_pushstring(L, socks->why);
    return 3;
  default:
    push_reply(L, socks);
    return 2;
  }
}

/* finish(result): the reply that tells the client. */
static int l_finish(lua_State *L) {
  static const char *const results[] = {"ok",          "failed",  "denied",
                                        "unreachable", "refused", NULL};
  struct arc_socks *socks = luaL_checkudata(L, 1, SOCKS);
  arc_socks_finish(
      socks, (enum arc_socks_result)luaL_checkoption(L, 2, NULL, results));
  push_reply(L, socks);
  return 1;
}

static int l_socks(lua_State *L) {
  struct arc_socks *socks = lua_newuserdatauv(L, sizeof *socks, 0);
  memset(socks, 0, sizeof *socks);
  luaL_setmetatable(L, SOCKS);
  return 1;
}

void arc_open_socks(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"need", l_need}, {"feed", l_feed}, {"finish", l_finish}, {NULL, NULL}};
  luaL_newmetatable(L, SOCKS);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_socks);
  lua_setfield(L, -2, "socks");
}
