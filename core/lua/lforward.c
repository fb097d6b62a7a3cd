/* SPDX-License-Identifier: MIT */
/* session:direct_tcpip, session:subsystem. */
#include <string.h>

#include "lua/lcore.h"
#include "lua/lsession.h"
#include "ssh/channel.h"

enum { DEFAULT_TIMEOUT = 30, HOST_MAX = 255, SUBSYSTEM_MAX = 63 };

static int opened(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushstream(L, arc_channel_take(op));
  return 1;
}

int arc_session_ltcpip(lua_State *L) {
  static const struct arc_opt options[] = {
      {"timeout", ARC_OPT_NUMBER, 0, false, 0, 1e9}, {0}};
  double timeout = DEFAULT_TIMEOUT;
  size_t len;
  struct arc_session *session = arc_checksession(L);
  const char *host = luaL_checklstring(L, 2, &len);
  lua_Integer port = luaL_checkinteger(L, 3);
  luaL_argcheck(L, len && len <= HOST_MAX && strlen(host) == len, 2,
                "a host name or address expected");
  luaL_argcheck(L, port >= 1 && port <= 65535, 3,
                "a port from 1 to 65535 expected");
  arc_checkoptions(L, 4, options, &timeout);
  struct arc_channel_target target = {.host = host, .port = (int)port};
  return arc_await(L, arc_channel_tcp(session, &target, timeout), opened);
}

int arc_session_lsubsystem(lua_State *L) {
  static const struct arc_opt options[] = {
      {"timeout", ARC_OPT_NUMBER, 0, false, 0, 1e9}, {0}};
  double timeout = DEFAULT_TIMEOUT;
  size_t len;
  struct arc_session *session = arc_checksession(L);
  const char *name = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len && len <= SUBSYSTEM_MAX && strlen(name) == len, 2,
                "the name of a subsystem expected");
  arc_checkoptions(L, 3, options, &timeout);
  return arc_await(L, arc_channel_subsystem(session, name, timeout), opened);
}
