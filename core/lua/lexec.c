/* SPDX-License-Identifier: MIT */
/* session:exec. */
#include <stddef.h>
#include <string.h>

#include "lua/lcore.h"
#include "lua/lsession.h"
#include "ssh/exec.h"

#define EXEC "arclua.exec"

enum { DEFAULT_OUTPUT = 1024 * 1024 };

struct exec_options {
  double timeout;
  bool pty;
  lua_Integer max_output;
};

static const struct arc_opt EXEC_OPTIONS[] = {
    {"timeout", ARC_OPT_NUMBER, offsetof(struct exec_options, timeout), false,
     0, 1e9},
    {"stdin", ARC_OPT_ANY, 0, false, 0, 0},
    {"env", ARC_OPT_ANY, 0, false, 0, 0},
    {"pty", ARC_OPT_BOOLEAN, offsetof(struct exec_options, pty), false, 0, 0},
    {"max_output", ARC_OPT_INTEGER, offsetof(struct exec_options, max_output),
     false, 0, 1e12},
    {"on_stdout", ARC_OPT_ANY, 0, false, 0, 0},
    {"on_stderr", ARC_OPT_ANY, 0, false, 0, 0},
    {"guard", ARC_OPT_ANY, 0, false, 0, 0},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

/* The stack of a running exec. */
enum { AT_SESSION = 1, AT_COMMAND, AT_OPTIONS, AT_BOX, AT_TOP = AT_BOX };
/* Where its loop comes from. */
enum { FROM_START, FROM_CALLBACK, FROM_WAIT };

static const char *const CALLBACKS[] = {"on_stdout", "on_stderr"};

static int exec_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, EXEC);
  struct arc_exec *exec = *box;
  *box = NULL;
  if (exec) {
    arc_exec_release(exec);
  }
  return 0;
}

static void release(lua_State *L) {
  void **box = lua_touserdata(L, AT_BOX);
  struct arc_exec *exec = *box;
  *box = NULL;
  if (exec) {
    arc_exec_release(exec);
  }
}

static int waited(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  if (!op->done) {
    return arc_pushfailnew(L, arc_err_new(ARC_E_CANCELLED, "cancelled"));
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int l_wait(lua_State *L) {
  void **box = luaL_checkudata(L, 1, EXEC);
  return arc_await(L, arc_exec_wait(*box), waited);
}

static void push_kept(lua_State *L, const struct arc_exec *exec, int which) {
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (int part = 0; part < 3; part++) {
    size_t n;
    const uint8_t *data = arc_exec_kept(exec, which, part, &n);
    luaL_addlstring(&text, (const char *)data, n);
  }
  luaL_pushresult(&text);
}

void arc_setresult(lua_State *L, const struct arc_exec_result *result) {
  static const char *const states[] = {"ok", "failed", "timeout", "cancelled",
                                       "unknown"};
  lua_pushstring(L, states[result->state]);
  lua_setfield(L, -2, "state");
  if (result->status >= 0) {
    lua_pushinteger(L, result->status);
    lua_setfield(L, -2, "status");
  }
  lua_pushstring(L, result->signal);
  lua_setfield(L, -2, "signal");
  lua_pushnumber(L, result->seconds);
  lua_setfield(L, -2, "seconds");
  lua_pushstring(L, result->confirmed ? "confirmed" : "unconfirmed");
  lua_setfield(L, -2, "ended");
  if (result->err) {
    arc_pusherror(L, result->err);
    lua_setfield(L, -2, "err");
  }
}

static int push_result(lua_State *L, const struct arc_exec *exec) {
  struct arc_exec_result result = arc_exec_result(exec);
  lua_createtable(L, 0, 9);
  arc_setresult(L, &result);
  push_kept(L, exec, 0);
  lua_setfield(L, -2, "stdout");
  push_kept(L, exec, 1);
  lua_setfield(L, -2, "stderr");
  lua_pushinteger(L, (lua_Integer)result.truncated);
  lua_setfield(L, -2, "truncated");
  return 1;
}

static int over(lua_State *L, const struct arc_exec *exec) {
  struct arc_err *unsent = arc_exec_unsent(exec);
  int n = unsent ? arc_pushfail(L, unsent) : push_result(L, exec);
  release(L);
  return n;
}

/* Pushes the callback and a chunk of output for it; false when there is
 * none. */
static bool push_chunk(lua_State *L, struct arc_exec *exec) {
  for (int which = 0; which < 2; which++) {
    size_t n;
    const uint8_t *data = arc_exec_peek(exec, which, &n);
    if (n) {
      lua_getfield(L, AT_OPTIONS, CALLBACKS[which]);
      lua_pushlstring(L, (const char *)data, n);
      arc_exec_take(exec, which, n);
      return true;
    }
  }
  return false;
}

/* Calls back with what has come, waits for more, until the command is over.
 * Each call may wait: then Lua comes back here with ctx. */
static int go_on(lua_State *L, int status, lua_KContext ctx) {
  for (;;) {
    if (status != LUA_OK && status != LUA_YIELD) {
      release(L);
      return lua_error(L);
    }
    if (ctx == FROM_WAIT && lua_isnil(L, AT_TOP + 1)) {
      release(L);
      return 2;
    }
    lua_settop(L, AT_TOP);
    struct arc_exec *exec = *(void **)lua_touserdata(L, AT_BOX);
    if (push_chunk(L, exec)) {
      ctx = FROM_CALLBACK;
      status = lua_pcallk(L, 1, 0, 0, ctx, go_on);
    } else if (arc_exec_over(exec)) {
      return over(L, exec);
    } else {
      ctx = FROM_WAIT;
      lua_pushcfunction(L, l_wait);
      lua_pushvalue(L, AT_BOX);
      lua_callk(L, 1, 2, ctx, go_on);
      status = LUA_OK;
    }
  }
}

static enum arc_guarded check_guard(lua_State *L) {
  int type = lua_getfield(L, AT_OPTIONS, "guard");
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) {
    luaL_error(L, "option 'guard': boolean expected, got %s",
               luaL_typename(L, -1));
  }
  enum arc_guarded guard = type == LUA_TNIL       ? ARC_GUARD_AUTO
                           : lua_toboolean(L, -1) ? ARC_GUARD_ON
                                                  : ARC_GUARD_OFF;
  lua_pop(L, 1);
  return guard;
}

static bool check_follow(lua_State *L, int which) {
  int type = lua_getfield(L, AT_OPTIONS, CALLBACKS[which]);
  if (type != LUA_TNIL && type != LUA_TFUNCTION) {
    luaL_error(L, "option '%s': function expected, got %s", CALLBACKS[which],
               luaL_typename(L, -1));
  }
  lua_pop(L, 1);
  return type == LUA_TFUNCTION;
}

const char *const *arc_push_env(lua_State *L, int index) {
  int type = lua_getfield(L, index, "env");
  if (type == LUA_TNIL) {
    return NULL;
  }
  if (type != LUA_TTABLE) {
    luaL_error(L, "option 'env': table expected, got %s", luaL_typename(L, -1));
  }
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
      luaL_error(L, "option 'env': strings expected");
    }
    n += 2;
  }
  const char **env = lua_newuserdatauv(L, (n + 1) * sizeof *env, 0);
  size_t at = 0;
  for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1)) {
    env[at++] = lua_tostring(L, -2);
    env[at++] = lua_tostring(L, -1);
  }
  env[at] = NULL;
  return env;
}

/* The stream of option stdin, still the caller's; sets the text otherwise. */
static void check_stdin(lua_State *L, struct arc_exec_options *opts) {
  int type = lua_getfield(L, AT_OPTIONS, "stdin");
  if (type == LUA_TSTRING) {
    opts->stdin_text = lua_tolstring(L, -1, &opts->stdin_len);
  } else if (type != LUA_TNIL) {
    arc_checkstream(L, -1);
  }
}

int arc_session_lexec(lua_State *L) {
  struct arc_session *session = arc_checksession(L);
  size_t len;
  const char *command = luaL_checklstring(L, AT_COMMAND, &len);
  luaL_argcheck(L, strlen(command) == len, AT_COMMAND,
                "a command cannot hold a NUL byte");
  lua_settop(L, AT_OPTIONS);
  if (lua_isnil(L, AT_OPTIONS)) {
    lua_newtable(L);
    lua_replace(L, AT_OPTIONS);
  }
  struct exec_options given = {.timeout = -1, .max_output = DEFAULT_OUTPUT};
  arc_checkoptions(L, AT_OPTIONS, EXEC_OPTIONS, &given);
  void **box = arc_newbox(L, EXEC);
  struct arc_exec_options opts = {
      .timeout = given.timeout,
      .pty = given.pty,
      .max_output = (size_t)given.max_output,
      .guard = check_guard(L),
      .follow = {check_follow(L, 0), check_follow(L, 1)},
      .env = arc_push_env(L, AT_OPTIONS)};
  check_stdin(L, &opts);
  if (lua_isuserdata(L, -1)) {
    opts.input = arc_takestream(L, -1);
  }
  *box = arc_exec_start(session, command, &opts);
  if (!*box) {
    return luaL_error(L, "out of memory");
  }
  return go_on(L, LUA_OK, FROM_START);
}

void arc_open_exec(lua_State *L) { arc_newtype(L, EXEC, NULL, exec_gc); }
