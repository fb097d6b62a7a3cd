/* SPDX-License-Identifier: MIT */
/* The terminal without its line discipline. */
#include <errno.h>

#include "lua/lcore.h"
#include "net/terminal.h"

#define RAW "arclua.raw"

struct raw {
  int fd; /* -1: closed */
};

/* In the background it has to be done again later. */
static int set_raw(lua_State *L, int fd) {
  int status = arc_terminal_raw(fd);
  if (status && status != -EAGAIN) {
    return arc_pushfailnew(L, arc_err_errno(status, "make the terminal raw"));
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int raw_gc(lua_State *L) {
  struct raw *raw = luaL_checkudata(L, 1, RAW);
  if (raw->fd >= 0) {
    raw->fd = -1;
    arc_terminal_cooked();
  }
  return 0;
}

static int l_again(lua_State *L) {
  const struct raw *raw = luaL_checkudata(L, 1, RAW);
  luaL_argcheck(L, raw->fd >= 0, 1, "it is closed");
  return set_raw(L, raw->fd);
}

static int l_cooked(lua_State *L) {
  luaL_checkudata(L, 1, RAW);
  arc_terminal_cooked();
  return 0;
}

static int l_raw_terminal(lua_State *L) {
  lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd <= 2, 1, "0, 1 or 2 expected");
  struct raw *raw = lua_newuserdatauv(L, sizeof *raw, 0);
  raw->fd = -1;
  luaL_setmetatable(L, RAW);
  int n = set_raw(L, (int)fd);
  if (n > 1) {
    return n;
  }
  raw->fd = (int)fd;
  lua_pop(L, 1);
  return 1;
}

static int l_is_raw(lua_State *L) {
  lua_pushboolean(L, arc_terminal_is_raw());
  return 1;
}

void arc_open_terminal(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"again", l_again}, {"cooked", l_cooked}, {NULL, NULL}};
  arc_newtype(L, RAW, methods, raw_gc);
  lua_pushcfunction(L, l_raw_terminal);
  lua_setfield(L, -2, "raw_terminal");
  lua_pushcfunction(L, l_is_raw);
  lua_setfield(L, -2, "terminal_is_raw");
}
