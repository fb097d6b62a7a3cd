/* SPDX-License-Identifier: MIT */
/* arclua.core.relay: connections through an Azure Relay. */
#include "lua/lcore.h"

#include "lua/lazure.h"
#include "net/ws.h"
#include "relay/relay.h"

struct options {
  lua_Integer port;
  const char *ca;
  double connect_timeout, answer_timeout;
};

static const struct arc_opt connect_options[] = {
    {"port", ARC_OPT_INTEGER, offsetof(struct options, port), true, 1, 65535},
    {"ca", ARC_OPT_STRING, offsetof(struct options, ca), false, 0, 0},
    {"connect_timeout", ARC_OPT_NUMBER,
     offsetof(struct options, connect_timeout), false, 0, 1e6},
    {"answer_timeout", ARC_OPT_NUMBER, offsetof(struct options, answer_timeout),
     false, 0, 1e6},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static const struct arc_opt upgrade_options[] = {
    {"port", ARC_OPT_INTEGER, offsetof(struct options, port), true, 1, 65535},
    {"answer_timeout", ARC_OPT_NUMBER, offsetof(struct options, answer_timeout),
     false, 0, 1e6},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static int finish_connect(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushstream(L, arc_relay_take(op));
  return 1;
}

static int l_connect(lua_State *L) {
  struct options opts = {.connect_timeout = 15, .answer_timeout = 35};
  struct arc_relay_request request = {.info = arc_checkrelayinfo(L, 1)};
  lua_settop(L, 2);
  arc_checkoptions(L, 2, connect_options, &opts);
  request.port = (int)opts.port;
  request.ca = opts.ca;
  request.connect_timeout = opts.connect_timeout;
  request.answer_timeout = opts.answer_timeout;
  return arc_await(L, arc_relay_connect(arc_getloop(L), &request),
                   finish_connect);
}

static int l_upgrade(lua_State *L) {
  struct options opts = {.answer_timeout = 35};
  struct arc_relay_request request = {.info = arc_checkrelayinfo(L, 2)};
  lua_settop(L, 3);
  arc_checkoptions(L, 3, upgrade_options, &opts);
  request.port = (int)opts.port;
  request.answer_timeout = opts.answer_timeout;
  struct arc_stream *line = arc_takestream(L, 1);
  return arc_await(L, arc_relay_upgrade(arc_getloop(L), line, &request),
                   finish_connect);
}

static int l_websocket(lua_State *L) {
  static const char *const roles[] = {"client", "server", NULL};
  int role = luaL_checkoption(L, 2, "client", roles);
  struct arc_stream *transport = arc_takestream(L, 1);
  struct arc_stream *ws =
      arc_ws_new(arc_getloop(L), transport,
                 role ? ARC_WS_SERVER : ARC_WS_CLIENT, "", 0, roles[role]);
  if (!ws) {
    return luaL_error(L, "out of memory");
  }
  arc_pushstream(L, ws);
  return 1;
}

void arc_open_relay(lua_State *L) {
  static const luaL_Reg functions[] = {{"connect", l_connect},
                                       {"upgrade", l_upgrade},
                                       {"websocket", l_websocket},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "relay");
}
