/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "emulator/guardian.h"
#include "emulator/httpd.h"
#include "emulator/shape.h"
#include "emulator/tls.h"
#include "lua/lcore.h"
#include "net/fdstream.h"
#include "net/tcp.h"
#include "net/ws.h"

#define SERVER_TYPE "arclua.server"
#define CONN_TYPE "arclua.conn"
#define REQUEST_TYPE "arclua.server.request"

/* What a shaped connection holds like TCP's window: a round trip's bytes. */
enum { WINDOW = 1024 * 1024, DEFAULT_ABSORBS = 12 * 1024 * 1024 };

struct server {
  struct arc_listener *listener;
  struct arc_tls_server *tls;
  double latency; /* ms */
};

/* ---- connections ---- */

static struct arc_httpd *check_conn(lua_State *L) {
  struct arc_httpd **box = luaL_checkudata(L, 1, CONN_TYPE);
  if (!*box) {
    luaL_argerror(L, 1, "the connection is closed");
  }
  if (arc_httpd_busy(*box)) {
    luaL_argerror(L, 1, "the connection is in use by another task");
  }
  return *box;
}

static int l_conn_gc(lua_State *L) {
  struct arc_httpd **box = luaL_checkudata(L, 1, CONN_TYPE);
  struct arc_httpd *h = *box;
  *box = NULL;
  arc_httpd_close(h);
  return 0;
}

static int l_conn_abort(lua_State *L) {
  struct arc_httpd **box = luaL_checkudata(L, 1, CONN_TYPE);
  struct arc_httpd *h = *box;
  *box = NULL;
  arc_httpd_abort(h);
  return 0;
}

static int l_request_gc(lua_State *L) {
  struct arc_httpd_call **box = luaL_checkudata(L, 1, REQUEST_TYPE);
  arc_httpd_call_free(*box);
  *box = NULL;
  return 0;
}

static void push_lower(lua_State *L, const char *text) {
  luaL_Buffer b;
  size_t n = strlen(text);
  char *to = luaL_buffinitsize(L, &b, n);
  for (size_t i = 0; i < n; i++) {
    to[i] = (char)tolower((unsigned char)text[i]);
  }
  luaL_pushresultsize(&b, n);
}

/* Sets headers and names in the table on top; a header that came more than
 * once is joined by ", ". */
static void push_headers(lua_State *L, const struct arc_httpd_call *req) {
  const char *at = (const char *)arc_buf_head(&req->headers);
  lua_createtable(L, 0, (int)req->count); /* t headers */
  lua_createtable(L, 0, (int)req->count); /* t headers names */
  for (size_t i = 0; i < req->count; i++) {
    const char *name = at;
    const char *value = name + strlen(name) + 1;
    at = value + strlen(value) + 1;
    push_lower(L, name); /* t headers names lower */
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -4) == LUA_TSTRING) { /* … lower old */
      lua_pushliteral(L, ", ");
      lua_pushstring(L, value);
      lua_concat(L, 3);
    } else {
      lua_pop(L, 1);
      lua_pushstring(L, value);
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2); /* t headers names lower lower value */
    lua_rawset(L, -5); /* t headers names lower */
    lua_pushstring(L, name);
    lua_rawset(L, -3); /* t headers names */
  }
  lua_setfield(L, -3, "names");
  lua_setfield(L, -2, "headers");
}

static void push_target(lua_State *L, const struct arc_buf *target) {
  const char *text = (const char *)arc_buf_head(target);
  size_t n = arc_buf_len(target);
  const char *mark = memchr(text, '?', n);
  size_t path = mark ? (size_t)(mark - text) : n;
  lua_pushlstring(L, text, n);
  lua_setfield(L, -2, "target");
  lua_pushlstring(L, text, path);
  lua_setfield(L, -2, "path");
  lua_pushlstring(L, mark ? mark + 1 : "", mark ? n - path - 1 : 0);
  lua_setfield(L, -2, "query");
}

static int finish_request(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  void **box = arc_newbox(L, REQUEST_TYPE);
  struct arc_httpd_call *req = arc_httpd_taken(op);
  *box = req;
  if (!req) {
    lua_pushnil(L);
    return 1;
  }
  lua_createtable(L, 0, 9);
  lua_pushstring(L, req->method);
  lua_setfield(L, -2, "method");
  push_target(L, &req->target);
  push_headers(L, req);
  lua_pushlstring(L, (const char *)arc_buf_head(&req->body),
                  arc_buf_len(&req->body));
  lua_setfield(L, -2, "body");
  lua_pushboolean(L, req->upgrade);
  lua_setfield(L, -2, "upgrade");
  arc_httpd_call_free(req);
  *box = NULL;
  return 1;
}

static int64_t opt_timeout(lua_State *L, int index) {
  return lua_isnoneornil(L, index)
             ? ARC_FOREVER
             : arc_loop_deadline(arc_getloop(L), luaL_checknumber(L, index));
}

static int l_conn_request(lua_State *L) {
  struct arc_httpd *h = check_conn(L);
  return arc_await(L, arc_httpd_request(h, opt_timeout(L, 2)), finish_request);
}

static int finish_true(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static bool one_line(const char *text, size_t n) {
  return !memchr(text, '\r', n) && !memchr(text, '\n', n) &&
         !memchr(text, '\0', n);
}

/* Pushes the table's header lines as one string; says whether one of them
 * ends the connection. */
static bool push_lines(lua_State *L, int index) {
  bool close = false;
  if (lua_isnoneornil(L, index)) {
    lua_pushliteral(L, "");
    return false;
  }
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushliteral(L, ""); /* text */
  lua_pushnil(L);
  while (lua_next(L, index)) { /* text name value */
    size_t n_name, n_value;
    luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, index,
                  "header names are strings");
    const char *name = lua_tolstring(L, -2, &n_name);
    const char *value = luaL_tolstring(L, -1, &n_value); /* … text */
    luaL_argcheck(L, one_line(name, n_name) && one_line(value, n_value), index,
                  "a header holds a line end");
    close = close ||
            (!strcasecmp(name, "connection") && !strcasecmp(value, "close"));
    if (strcasecmp(name, "connection") != 0) {
      lua_pushfstring(L, "%s: %s\r\n", name, value);
      lua_pushvalue(L, -5);
      lua_insert(L, -2);
      lua_concat(L, 2);
      lua_replace(L, -5);
    }
    lua_pop(L, 2); /* text name */
  }
  return close;
}

static int l_conn_respond(lua_State *L) {
  size_t n_reason;
  struct arc_answer answer = {0};
  struct arc_httpd *h = check_conn(L);
  lua_Integer status = luaL_checkinteger(L, 2);
  luaL_argcheck(L, status >= 100 && status <= 999, 2, "an HTTP status");
  answer.status = (int)status;
  answer.reason = luaL_optlstring(L, 3, "", &n_reason);
  luaL_argcheck(L, one_line(answer.reason, n_reason), 3, "holds a line end");
  answer.body = luaL_optlstring(L, 5, "", &answer.n_body);
  answer.close = push_lines(L, 4);
  answer.headers = lua_tolstring(L, -1, &answer.n_headers);
  return arc_await(L, arc_httpd_respond(h, &answer, ARC_FOREVER), finish_true);
}

/* The connection is no more: its transport has moved on, or it failed. */
static void dissolve(lua_State *L) {
  struct arc_httpd **box = lua_touserdata(L, 1);
  struct arc_httpd *h = *box;
  *box = NULL;
  arc_httpd_close(h);
}

static int finish_websocket(lua_State *L, struct arc_op *op) {
  dissolve(L);
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  struct arc_stream *transport = arc_httpd_stream(op);
  const struct arc_buf *early = arc_httpd_early(op);
  struct arc_stream *ws =
      arc_ws_new(transport->loop, transport, ARC_WS_SERVER, arc_buf_head(early),
                 arc_buf_len(early), transport->name);
  if (!ws) {
    return arc_pushfailnew(L, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
  arc_pushstream(L, ws);
  return 1;
}

static int l_conn_websocket(lua_State *L) {
  struct arc_httpd *h = check_conn(L);
  lua_settop(L, 1);
  return arc_await(L, arc_httpd_upgrade(h, NULL, ARC_FOREVER),
                   finish_websocket);
}

static int finish_upgrade(lua_State *L, struct arc_op *op) {
  dissolve(L);
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  const struct arc_buf *early = arc_httpd_early(op);
  lua_pushlstring(L, (const char *)arc_buf_head(early), arc_buf_len(early));
  arc_pushstream(L, arc_httpd_stream(op));
  lua_insert(L, -2);
  return 2;
}

static int l_conn_upgrade(lua_State *L) {
  size_t n = 0;
  struct arc_httpd *h = check_conn(L);
  const char *protocol = luaL_optlstring(L, 2, NULL, &n);
  luaL_argcheck(L, !protocol || one_line(protocol, n), 2, "holds a line end");
  lua_settop(L, 2);
  return arc_await(L, arc_httpd_upgrade(h, protocol, ARC_FOREVER),
                   finish_upgrade);
}

static int l_conn_drain(lua_State *L) {
  struct arc_httpd *h = check_conn(L);
  return arc_await(L, arc_httpd_drain(h, false, opt_timeout(L, 2)),
                   finish_true);
}

static int l_conn_watch(lua_State *L) {
  struct arc_httpd *h = check_conn(L);
  return arc_await(L, arc_httpd_drain(h, true, opt_timeout(L, 2)), finish_true);
}

static int l_conn_peer(lua_State *L) {
  struct arc_httpd **box = luaL_checkudata(L, 1, CONN_TYPE);
  const char *name = *box ? arc_httpd_peer(*box) : "";
  const char *colon = strrchr(name, ':');
  lua_pushlstring(L, name, colon ? (size_t)(colon - name) : 0);
  lua_pushinteger(L, colon ? strtol(colon + 1, NULL, 10) : 0);
  return 2;
}

/* ---- the listener ---- */

static struct server *check_server(lua_State *L) {
  struct server *server = luaL_checkudata(L, 1, SERVER_TYPE);
  luaL_argcheck(L, server->listener, 1, "the server is closed");
  return server;
}

static int l_server_gc(lua_State *L) {
  struct server *server = luaL_checkudata(L, 1, SERVER_TYPE);
  struct arc_listener *listener = server->listener;
  server->listener = NULL;
  arc_listener_close(listener);
  arc_tls_server_unref(server->tls);
  server->tls = NULL;
  return 0;
}

static int l_server_port(lua_State *L) {
  lua_pushinteger(L, arc_listener_port(check_server(L)->listener));
  return 1;
}

static int finish_accept(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  struct server *server = lua_touserdata(L, 1);
  if (!server->listener) {
    return arc_pushfailnew(L,
                           arc_err_new(ARC_E_CLOSED, "the server is closed"));
  }
  void **box = arc_newbox(L, CONN_TYPE);
  struct arc_stream *tcp = arc_tcp_taken(op);
  if (server->latency > 0) {
    // A round trip for TCP's handshake.
    struct arc_line line = {server->latency, 0, WINDOW, 2 * server->latency};
    tcp = arc_shape_new(tcp, &line);
  }
  struct arc_stream *s =
      tcp && server->tls ? arc_tls_accept(server->tls, tcp, tcp->name) : tcp;
  *box = s ? arc_httpd_new(s) : NULL;
  if (!*box) {
    return arc_pushfailnew(L, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
  return 1;
}

static int l_server_accept(lua_State *L) {
  struct server *server = check_server(L);
  lua_settop(L, 1);
  return arc_await(L, arc_listener_accept(server->listener), finish_accept);
}

static int l_listen(lua_State *L) {
  struct {
    const char *cert, *key;
    lua_Integer port;
    double latency;
  } want = {0};
  static const struct arc_opt opts[] = {
      {"cert", ARC_OPT_STRING, 0, false, 0, 0},
      {"key", ARC_OPT_STRING, sizeof(char *), false, 0, 0},
      {"port", ARC_OPT_INTEGER, 2 * sizeof(char *), false, 0, 65535},
      {"latency", ARC_OPT_NUMBER, 3 * sizeof(char *), false, 0, 10},
      {NULL, ARC_OPT_ANY, 0, false, 0, 0}};
  arc_checkoptions(L, 1, opts, &want);
  struct server *server = lua_newuserdatauv(L, sizeof *server, 0);
  memset(server, 0, sizeof *server);
  luaL_setmetatable(L, SERVER_TYPE);
  server->latency = want.latency * 1000;
  struct arc_err *err = NULL;
  bool plain = !want.cert && !want.key;
  luaL_argcheck(L, plain || (want.cert && want.key), 1,
                "options 'cert' and 'key' belong together");
  server->tls = plain ? NULL : arc_tls_server_new(want.cert, want.key, &err);
  if (plain || server->tls) {
    server->listener =
        arc_tcp_listen(arc_getloop(L), "127.0.0.1", (int)want.port, &err);
  }
  return server->listener ? 1 : arc_pushfailnew(L, err);
}

static int l_guardian(lua_State *L) {
  struct {
    const char *dir, *mark;
    bool bound;
  } want = {0};
  static const struct arc_opt opts[] = {
      {"dir", ARC_OPT_STRING, 0, true, 0, 0},
      {"mark", ARC_OPT_STRING, sizeof(char *), false, 0, 0},
      {"bound", ARC_OPT_BOOLEAN, 2 * sizeof(char *), false, 0, 0},
      {NULL, ARC_OPT_ANY, 0, false, 0, 0}};
  arc_checkoptions(L, 1, opts, &want);
  luaL_argcheck(L, want.dir[0] == '/' && want.dir[1], 1,
                "option 'dir': an absolute path");
  struct arc_loop *loop = arc_getloop(L);
  struct arc_guard guard = {want.dir, want.mark,
                            want.bound ? (int)getppid() : 0};
  int fd = arc_guardian_start(&guard);
  if (fd < 0) {
    return arc_pushfailnew(L, arc_err_errno(fd, "start the guardian"));
  }
  struct arc_stream *stream = arc_fdstream_new(loop, fd, -1, "guardian");
  if (!stream) {
    return arc_pushfailnew(L, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
  arc_pushstream(L, stream);
  return 1;
}

/* stream, code, reason: ends a websocket stream by a Close of this code. */
static int l_ws_close(lua_State *L) {
  size_t n;
  struct arc_stream *s = arc_checkstream(L, 1);
  lua_Integer code = luaL_checkinteger(L, 2);
  const char *reason = luaL_optlstring(L, 3, "", &n);
  luaL_argcheck(L, !strcmp(s->cls->kind, "websocket"), 1, "not a websocket");
  luaL_argcheck(L, code >= 1000 && code <= 4999, 2, "1000 to 4999");
  luaL_argcheck(L, n <= 123, 3, "at most 123 bytes");
  arc_ws_close_with(s, (int)code, reason);
  return 0;
}

/* stream, { latency, rate, absorbs }: the stream at the end of such a line,
 * whose far end hears of it first. */
static int l_shape(lua_State *L) {
  struct {
    double latency, rate;
    lua_Integer absorbs;
  } want = {0, 0, DEFAULT_ABSORBS};
  static const struct arc_opt opts[] = {
      {"latency", ARC_OPT_NUMBER, 0, false, 0, 10},
      {"rate", ARC_OPT_NUMBER, sizeof(double), false, 1, 1e12},
      {"absorbs", ARC_OPT_INTEGER, 2 * sizeof(double), false, 1, 1 << 30},
      {NULL, ARC_OPT_ANY, 0, false, 0, 0}};
  arc_checkstream(L, 1);
  arc_checkoptions(L, 2, opts, &want);
  struct arc_line line = {want.latency * 1000, want.rate / 1000,
                          (size_t)want.absorbs, want.latency * 1000};
  struct arc_stream *shaped = arc_shape_new(arc_takestream(L, 1), &line);
  if (!shaped) {
    return luaL_error(L, "out of memory");
  }
  arc_pushstream(L, shaped);
  return 1;
}

static const luaL_Reg conn_methods[] = {{"request", l_conn_request},
                                        {"respond", l_conn_respond},
                                        {"websocket", l_conn_websocket},
                                        {"upgrade", l_conn_upgrade},
                                        {"drain", l_conn_drain},
                                        {"watch", l_conn_watch},
                                        {"peer", l_conn_peer},
                                        {"abort", l_conn_abort},
                                        {NULL, NULL}};

static const luaL_Reg server_methods[] = {
    {"port", l_server_port}, {"accept", l_server_accept}, {NULL, NULL}};

static const luaL_Reg request_methods[] = {{NULL, NULL}};

static const luaL_Reg functions[] = {{"listen", l_listen},
                                     {"guardian", l_guardian},
                                     {"shape", l_shape},
                                     {"ws_close", l_ws_close},
                                     {NULL, NULL}};

void arc_open_server(lua_State *L) {
  arc_newtype(L, CONN_TYPE, conn_methods, l_conn_gc);
  arc_newtype(L, SERVER_TYPE, server_methods, l_server_gc);
  arc_newtype(L, REQUEST_TYPE, request_methods, l_request_gc);
  luaL_newlib(L, functions);
  arc_open_bridge(L);
  arc_open_control(L);
  lua_setfield(L, -2, "server");
}
