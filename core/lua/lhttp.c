/* SPDX-License-Identifier: MIT */
/* arclua.core.http: HTTPS requests. */
#include "lua/lhttp.h"

#include <string.h>

#include "lua/lcore.h"
#include "net/multi.h"

enum { MAX_BODY = 8 * 1024 * 1024 };

struct options {
  const char *url, *method, *ca;
  double timeout, connect_timeout;
  lua_Integer max_body;
};

static const struct arc_opt request_options[] = {
    {"url", ARC_OPT_STRING, offsetof(struct options, url), true, 0, 0},
    {"method", ARC_OPT_STRING, offsetof(struct options, method), false, 0, 0},
    {"ca", ARC_OPT_STRING, offsetof(struct options, ca), false, 0, 0},
    {"timeout", ARC_OPT_NUMBER, offsetof(struct options, timeout), false, 0,
     1e9},
    {"connect_timeout", ARC_OPT_NUMBER,
     offsetof(struct options, connect_timeout), false, 0, 1e6},
    {"max_body", ARC_OPT_INTEGER, offsetof(struct options, max_body), false, 1,
     1e9},
    {"headers", ARC_OPT_ANY, 0, false, 0, 0},
    {"body", ARC_OPT_ANY, 0, false, 0, 0},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

/* { prefix, secret }, which the table keeps alive. */
static bool read_prefixed(lua_State *L, struct arc_http_header *header) {
  if (lua_type(L, -1) != LUA_TTABLE) {
    return false;
  }
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  if (lua_type(L, -2) == LUA_TSTRING) {
    header->prefix = lua_tostring(L, -2);
    header->bearer = arc_tosecret(L, -1);
  }
  lua_pop(L, 2);
  return header->bearer;
}

/* The value is on top of the stack, the name below it. */
static void read_header(lua_State *L, struct arc_http_header *header) {
  if (lua_type(L, -2) != LUA_TSTRING) {
    luaL_error(L, "option 'headers': names must be strings");
  }
  header->name = lua_tostring(L, -2);
  header->bearer = arc_tosecret(L, -1);
  if (header->bearer || read_prefixed(L, header)) {
    return;
  }
  size_t len = 0;
  if (lua_type(L, -1) == LUA_TSTRING) {
    header->value = lua_tolstring(L, -1, &len);
  }
  if (!header->value || strlen(header->value) != len) {
    luaL_error(L,
               "option 'headers': '%s' must be a string without NUL, or a "
               "secret",
               header->name);
  }
}

static size_t count_pairs(lua_State *L, int index) {
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    n++;
  }
  return n;
}

struct arc_http_header *arc_checkheaders(lua_State *L, int index, size_t extra,
                                         size_t *n) {
  lua_getfield(L, lua_absindex(L, index), "headers");
  int table = lua_gettop(L);
  bool given = !lua_isnil(L, table);
  if (given && !lua_istable(L, table)) {
    luaL_error(L, "option 'headers': table expected, got %s",
               luaL_typename(L, table));
  }
  size_t count = given ? count_pairs(L, table) : 0;
  struct arc_http_header *headers =
      lua_newuserdatauv(L, (count + extra + 1) * sizeof *headers, 1);
  memset(headers, 0, (count + extra + 1) * sizeof *headers);
  *n = 0;
  if (given) {
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
      read_header(L, &headers[(*n)++]);
    }
    lua_pushvalue(L, table); // the strings live as long as the array
    lua_setiuservalue(L, -2, 1);
  }
  lua_replace(L, table);
  return headers;
}

static bool is_wanted(const char *const *wanted, const char *name) {
  for (; *wanted; wanted++) {
    size_t n = strlen(*wanted);
    bool prefix = (*wanted)[n - 1] == '*';
    if (prefix ? !strncmp(name, *wanted, n - 1) : !strcmp(name, *wanted)) {
      return true;
    }
  }
  return false;
}

void arc_pushheaders(lua_State *L, const struct arc_http_op *http,
                     const char *const *wanted) {
  const char *name, *value;
  size_t at = 0;
  lua_newtable(L);
  while (arc_http_next_header(http, &at, &name, &value)) {
    if (wanted && !is_wanted(wanted, name)) {
      continue;
    }
    if (lua_getfield(L, -1, name) == LUA_TSTRING) {
      lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), value);
      lua_remove(L, -2);
    } else {
      lua_pop(L, 1);
      lua_pushstring(L, value);
    }
    lua_setfield(L, -2, name);
  }
}

static int finish_request(lua_State *L, struct arc_op *op) {
  struct arc_http_op *http = (struct arc_http_op *)op;
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, http->status);
  lua_setfield(L, -2, "status");
  lua_pushlstring(L, (const char *)arc_buf_head(&http->body),
                  arc_buf_len(&http->body));
  lua_setfield(L, -2, "body");
  arc_pushheaders(L, http, NULL);
  lua_setfield(L, -2, "headers");
  return 1;
}

/* Leaves the value on the stack. */
static void read_body(lua_State *L, struct arc_http_request *request) {
  lua_getfield(L, 1, "body");
  struct arc_secret *secret = arc_tosecret(L, -1);
  if (secret) {
    request->body = secret->bytes;
    request->n_body = secret->len;
  } else if (lua_type(L, -1) == LUA_TSTRING) {
    request->body = lua_tolstring(L, -1, &request->n_body);
  } else if (!lua_isnil(L, -1)) {
    luaL_error(L, "option 'body': string or secret expected, got %s",
               luaL_typename(L, -1));
  }
}

static int l_request(lua_State *L) {
  struct options opts = {
      .timeout = 30, .connect_timeout = 10, .max_body = MAX_BODY};
  struct arc_http_request request = {0};
  struct arc_loop *loop = arc_getloop(L);
  lua_settop(L, 1);
  arc_checkoptions(L, 1, request_options, &opts);
  request.headers = arc_checkheaders(L, 1, 0, &request.n_headers);
  read_body(L, &request);
  request.url = opts.url;
  request.method = opts.method;
  request.ca = opts.ca;
  request.deadline = arc_loop_deadline(loop, opts.timeout);
  request.connect_timeout = opts.connect_timeout;
  request.max_body = (size_t)opts.max_body;
  return arc_await(L, arc_http_request(loop, &request), finish_request);
}

static int l_close_idle(lua_State *L) {
  arc_multi_close_idle(arc_getloop(L));
  return 0;
}

void arc_open_http(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"request", l_request}, {"close_idle", l_close_idle}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "http");
}
