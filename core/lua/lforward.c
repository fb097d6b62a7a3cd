/* SPDX-License-Identifier: MIT */
/* session:direct_tcpip, direct_streamlocal, subsystem, listen, wait. */
#include <stddef.h>
#include <string.h>

#include "lua/lcore.h"
#include "lua/lsession.h"
#include "ssh/channel.h"
#include "ssh/remote.h"

#define REMOTE "arclua.remote"

enum { DEFAULT_TIMEOUT = 30, HOST_MAX = 255, SUBSYSTEM_MAX = 63 };

static double check_timeout(lua_State *L, int index) {
  static const struct arc_opt options[] = {
      {"timeout", ARC_OPT_NUMBER, 0, false, 0, 1e9}, {0}};
  double timeout = DEFAULT_TIMEOUT;
  arc_checkoptions(L, index, options, &timeout);
  return timeout;
}

/* A text that an address or path of the server can be. */
static const char *check_text(lua_State *L, int index, size_t least,
                              const char *expected) {
  size_t len;
  const char *text = luaL_checklstring(L, index, &len);
  luaL_argcheck(L, len >= least && len <= HOST_MAX && strlen(text) == len,
                index, expected);
  return text;
}

static int check_port(lua_State *L, int index, int least) {
  lua_Integer port = luaL_checkinteger(L, index);
  luaL_argcheck(L, port >= least && port <= 65535, index,
                least ? "a port from 1 to 65535 expected"
                      : "a port from 0 to 65535 expected");
  return (int)port;
}

static int opened(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushstream(L, arc_channel_take(op));
  return 1;
}

int arc_session_ltcpip(lua_State *L) {
  struct arc_session *session = arc_checksession(L);
  struct arc_channel_target target = {
      .host = check_text(L, 2, 1, "a host name or address expected"),
      .port = check_port(L, 3, 1)};
  double timeout = check_timeout(L, 4);
  return arc_await(L, arc_channel_direct(session, &target, timeout), opened);
}

int arc_session_lstreamlocal(lua_State *L) {
  struct arc_session *session = arc_checksession(L);
  struct arc_channel_target target = {
      .path = check_text(L, 2, 1, "the path of a socket expected")};
  double timeout = check_timeout(L, 3);
  return arc_await(L, arc_channel_direct(session, &target, timeout), opened);
}

int arc_session_lsubsystem(lua_State *L) {
  struct arc_session *session = arc_checksession(L);
  const char *name = check_text(L, 2, 1, "the name of a subsystem expected");
  luaL_argcheck(L, strlen(name) <= SUBSYSTEM_MAX, 2,
                "the name of a subsystem expected");
  double timeout = check_timeout(L, 3);
  return arc_await(L, arc_channel_subsystem(session, name, timeout), opened);
}

static int ended(lua_State *L, struct arc_op *op) {
  return arc_pushfail(L, op->err);
}

int arc_session_lwait(lua_State *L) {
  return arc_await(L, arc_session_wait(arc_checksession(L)), ended);
}

/* ---- listening there -------------------------------------------------------
 */

static struct arc_remote *check_remote(lua_State *L) {
  void **box = luaL_checkudata(L, 1, REMOTE);
  luaL_argcheck(L, *box, 1, "the listener is closed");
  return *box;
}

static int remote_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, REMOTE);
  struct arc_remote *remote = *box;
  *box = NULL;
  arc_remote_close(remote);
  return 0;
}

static int listening(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  void **box = arc_newbox(L, REMOTE);
  *box = arc_remote_take(op);
  return 1;
}

int arc_session_llisten(lua_State *L) {
  struct arc_session *session = arc_checksession(L);
  const char *address =
      check_text(L, 2, 0,
                 "an address of the server, \"\" or \"localhost\" "
                 "expected");
  int port = check_port(L, 3, 0);
  double timeout = check_timeout(L, 4);
  return arc_await(L, arc_remote_listen(session, address, port, timeout),
                   listening);
}

static int accepted(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushstream(L, arc_remote_taken(op));
  return 1;
}

static int l_accept(lua_State *L) {
  return arc_await(L, arc_remote_accept(check_remote(L)), accepted);
}

static int l_port(lua_State *L) {
  lua_pushinteger(L, arc_remote_port(check_remote(L)));
  return 1;
}

void arc_open_forward(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"accept", l_accept}, {"port", l_port}, {NULL, NULL}};
  arc_newtype(L, REMOTE, methods, remote_gc);
}
