/* SPDX-License-Identifier: MIT */
/* session:shell. */
#include <stddef.h>
#include <string.h>

#include "lua/lcore.h"
#include "lua/lsession.h"
#include "ssh/remote.h"
#include "ssh/shell.h"

#define SHELL "arclua.shell"

enum { AT_OPTIONS = 2, AT_BOX, SIZE_MAX_CHARS = 65535 };

struct shell_options {
  const char *command, *subsystem, *agent;
};

static const struct arc_opt SHELL_OPTIONS[] = {
    {"command", ARC_OPT_STRING, offsetof(struct shell_options, command), false,
     0, 0},
    {"subsystem", ARC_OPT_STRING, offsetof(struct shell_options, subsystem),
     false, 0, 0},
    {"pty", ARC_OPT_ANY, 0, false, 0, 0},
    {"env", ARC_OPT_ANY, 0, false, 0, 0},
    {"agent", ARC_OPT_STRING, offsetof(struct shell_options, agent), false, 0,
     0},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

struct pty_options {
  const char *term;
  lua_Integer cols, rows;
};

static const struct arc_opt PTY_OPTIONS[] = {
    {"term", ARC_OPT_STRING, offsetof(struct pty_options, term), false, 0, 0},
    {"cols", ARC_OPT_INTEGER, offsetof(struct pty_options, cols), false, 0,
     SIZE_MAX_CHARS},
    {"rows", ARC_OPT_INTEGER, offsetof(struct pty_options, rows), false, 0,
     SIZE_MAX_CHARS},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static struct arc_shell *check(lua_State *L) {
  void **box = luaL_checkudata(L, 1, SHELL);
  luaL_argcheck(L, *box, 1, "the shell is closed");
  return *box;
}

static int shell_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, SHELL);
  struct arc_shell *shell = *box;
  *box = NULL;
  arc_shell_close(shell);
  return 0;
}

/* What the option pty asks for; its texts stay on the stack. */
static void read_pty(lua_State *L, struct arc_exec_options *opts) {
  struct pty_options pty = {.term = "xterm", .cols = 80, .rows = 24};
  int type = lua_getfield(L, AT_OPTIONS, "pty");
  if (type == LUA_TTABLE) {
    arc_checkoptions(L, -1, PTY_OPTIONS, &pty);
  } else if (type != LUA_TNIL && type != LUA_TBOOLEAN) {
    luaL_error(L, "option 'pty': boolean or table expected, got %s",
               luaL_typename(L, -1));
  }
  opts->pty = lua_toboolean(L, -1);
  opts->terminal = (struct arc_pty){
      .term = pty.term, .cols = (int)pty.cols, .rows = (int)pty.rows};
}

/* A command goes out as a C string. */
static void refuse_nul(lua_State *L) {
  size_t len;
  if (lua_getfield(L, AT_OPTIONS, "command") == LUA_TSTRING) {
    const char *command = lua_tolstring(L, -1, &len);
    luaL_argcheck(L, strlen(command) == len, AT_OPTIONS,
                  "a command cannot hold a NUL byte");
  }
  lua_pop(L, 1);
}

static int opened(lua_State *L, struct arc_op *op) {
  if (op->err) {
    void **box = lua_touserdata(L, AT_BOX);
    arc_shell_close(*box);
    *box = NULL;
    return arc_pushfail(L, op->err);
  }
  lua_pushvalue(L, AT_BOX);
  return 1;
}

int arc_session_lshell(lua_State *L) {
  struct arc_session *session = arc_checksession(L);
  struct shell_options given = {0};
  lua_settop(L, AT_OPTIONS);
  if (lua_isnil(L, AT_OPTIONS)) {
    lua_newtable(L);
    lua_replace(L, AT_OPTIONS);
  }
  arc_checkoptions(L, AT_OPTIONS, SHELL_OPTIONS, &given);
  refuse_nul(L);
  luaL_argcheck(L, !given.command || !given.subsystem, AT_OPTIONS,
                "command and subsystem exclude each other");
  void **box = arc_newbox(L, SHELL);
  const char *command = given.subsystem ? given.subsystem : given.command;
  struct arc_exec_options opts = {
      .kind = given.subsystem ? ARC_EXEC_SUBSYSTEM
              : command       ? ARC_EXEC_COMMAND
                              : ARC_EXEC_SHELL,
      .agent = given.agent && arc_session_lend_agent(session, given.agent),
      .env = arc_push_env(L, AT_OPTIONS)};
  read_pty(L, &opts);
  *box = arc_shell_start(session, command, &opts);
  if (!*box) {
    return luaL_error(L, "out of memory");
  }
  return arc_await(L, arc_shell_open(*box), opened);
}

static int waited(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  struct arc_shell *shell = *(void **)lua_touserdata(L, 1);
  if (!shell) { // closed in the moment between its end and this
    return arc_pushfailnew(L,
                           arc_err_new(ARC_E_CLOSED, "the shell was closed"));
  }
  struct arc_exec_result result = arc_shell_result(shell);
  lua_createtable(L, 0, 6);
  arc_setresult(L, &result);
  return 1;
}

static int l_wait(lua_State *L) {
  struct arc_shell *shell = check(L);
  if (arc_shell_waited(shell)) {
    return luaL_error(L, "another task is waiting for the shell");
  }
  return arc_await(L, arc_shell_wait(shell), waited);
}

static int hand_out(lua_State *L, int which) {
  struct arc_stream *s = arc_shell_take(check(L), which);
  if (!s) {
    return luaL_error(L, "the stream was taken before");
  }
  arc_pushstream(L, s);
  return 1;
}

static int l_stream(lua_State *L) { return hand_out(L, 0); }
static int l_stderr(lua_State *L) { return hand_out(L, 1); }

static int check_size(lua_State *L, int index) {
  lua_Integer n = luaL_checkinteger(L, index);
  luaL_argcheck(L, n >= 0 && n <= SIZE_MAX_CHARS, index,
                "a number of characters expected");
  return (int)n;
}

static int l_resize(lua_State *L) {
  struct arc_shell *shell = check(L);
  int cols = check_size(L, 2);
  arc_shell_resize(shell, cols, check_size(L, 3));
  return 0;
}

static int l_signal(lua_State *L) {
  struct arc_shell *shell = check(L);
  lua_pushboolean(L, arc_shell_signal(shell, luaL_checkstring(L, 2)));
  return 1;
}

static int l_has_terminal(lua_State *L) {
  lua_pushboolean(L, arc_shell_has_terminal(check(L)));
  return 1;
}

void arc_open_shell(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"wait", l_wait},     {"stream", l_stream},
      {"stderr", l_stderr}, {"resize", l_resize},
      {"signal", l_signal}, {"has_terminal", l_has_terminal},
      {NULL, NULL}};
  arc_newtype(L, SHELL, methods, shell_gc);
}
