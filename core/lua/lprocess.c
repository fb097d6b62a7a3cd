/* SPDX-License-Identifier: MIT */
/* Child processes. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/parent.h"
#include "loop/process.h"
#include "lua/lcore.h"
#include "net/fdstream.h"
#include "util/secretenv.h"

#define PROCESS "arclua.process"

extern char **environ;

struct options {
  const char *cwd, *hostname, *io[3];
  bool clear_env, without_secrets, socket, session, die_with_parent;
  lua_Integer uid, gid;
};

static struct arc_process *check(lua_State *L) {
  void **box = luaL_checkudata(L, 1, PROCESS);
  luaL_argcheck(L, *box, 1, "the process is closed");
  return *box;
}

/* Pushes a userdata that holds count + 1 pointers, the last NULL. */
static char **push_vector(lua_State *L, size_t count) {
  char **vector = lua_newuserdatauv(L, (count + 1) * sizeof *vector, 0);
  vector[count] = NULL;
  return vector;
}

/* The strings stay alive in the options table. */
static char **push_args(lua_State *L) {
  if (lua_getfield(L, 1, "args") != LUA_TTABLE) {
    luaL_error(L, "option 'args': a list of strings expected");
  }
  lua_Unsigned n = lua_rawlen(L, -1);
  if (!n) {
    luaL_error(L, "option 'args': at least the program expected");
  }
  char **args = push_vector(L, n);
  for (lua_Unsigned i = 1; i <= n; i++) {
    if (lua_rawgeti(L, -2, (lua_Integer)i) != LUA_TSTRING) {
      luaL_error(L, "option 'args': strings expected, got %s at %d",
                 luaL_typename(L, -1), (int)i);
    }
    args[i - 1] = (char *)lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  return args;
}

/* Whether the changes (table at index, or nil) name variable K of "K=V". */
static bool is_changed(lua_State *L, int changes, const char *entry) {
  const char *equals = strchr(entry, '=');
  if (!lua_istable(L, changes) || !equals) {
    return false;
  }
  lua_pushlstring(L, entry, (size_t)(equals - entry));
  bool found = lua_rawget(L, changes) != LUA_TNIL;
  lua_pop(L, 1);
  return found;
}

static size_t count_env(lua_State *L, int changes) {
  size_t n = 0;
  for (char **at = environ; at && *at; at++) {
    n++;
  }
  if (lua_istable(L, changes)) {
    for (lua_pushnil(L); lua_next(L, changes); lua_pop(L, 1)) {
      n++;
    }
  }
  return n;
}

/* Adds "K=V" for what a table sets, false leaves out; anchors keeps them. */
static char **add_changes(lua_State *L, int changes, int anchors, char **to) {
  for (lua_pushnil(L); lua_next(L, changes); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      luaL_error(L, "option 'env': names expected");
    }
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
      continue;
    }
    if (!lua_isstring(L, -1)) {
      luaL_error(L, "option 'env': a string or false expected for '%s'",
                 lua_tostring(L, -2));
    }
    lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), lua_tostring(L, -1));
    *to++ = (char *)lua_tostring(L, -1);
    lua_rawseti(L, anchors, (lua_Integer)lua_rawlen(L, anchors) + 1);
  }
  return to;
}

/* The new environment. Entries of ours are handed on where they stand: they
 * may be secrets, and do not become strings of Lua. */
static char **push_env(lua_State *L, const struct options *o) {
  int type = lua_getfield(L, 1, "env");
  if (type != LUA_TTABLE && type != LUA_TNIL) {
    luaL_error(L, "option 'env': table expected");
  }
  int changes = lua_gettop(L);
  lua_newtable(L);
  char **env = push_vector(L, count_env(L, changes));
  char **to = env;
  for (char **at = environ; !o->clear_env && at && *at; at++) {
    if (!is_changed(L, changes, *at) &&
        !(o->without_secrets && arc_secretenv_of(*at))) {
      *to++ = *at;
    }
  }
  if (type == LUA_TTABLE) {
    to = add_changes(L, changes, changes + 1, to);
  }
  *to = NULL;
  return env;
}

static enum arc_stdio stdio_of(lua_State *L, const char *name, const char *word,
                               const char **path) {
  if (!strcmp(word, "null")) {
    return ARC_STDIO_NULL;
  }
  if (!strcmp(word, "pipe")) {
    return ARC_STDIO_PIPE;
  }
  if (!strcmp(word, "inherit")) {
    return ARC_STDIO_INHERIT;
  }
  if (!strcmp(name, "stderr") && !strncmp(word, "file:", 5)) {
    *path = word + 5;
    return ARC_STDIO_FILE;
  }
  luaL_error(L, "option '%s': null, pipe or inherit expected, got '%s'", name,
             word);
  return ARC_STDIO_NULL;
}

static int l_spawn(lua_State *L) {
#define AT(field) offsetof(struct options, field)
  static const struct arc_opt table[] = {
      {"args", ARC_OPT_ANY, 0, true, 0, 0},
      {"env", ARC_OPT_ANY, 0, false, 0, 0},
      {"clear_env", ARC_OPT_BOOLEAN, AT(clear_env), false, 0, 0},
      {"without_secrets", ARC_OPT_BOOLEAN, AT(without_secrets), false, 0, 0},
      {"cwd", ARC_OPT_STRING, AT(cwd), false, 0, 0},
      {"stdin", ARC_OPT_STRING, AT(io[0]), false, 0, 0},
      {"stdout", ARC_OPT_STRING, AT(io[1]), false, 0, 0},
      {"stderr", ARC_OPT_STRING, AT(io[2]), false, 0, 0},
      {"socket", ARC_OPT_BOOLEAN, AT(socket), false, 0, 0},
      {"uid", ARC_OPT_INTEGER, AT(uid), false, 0, 4294967294.0},
      {"gid", ARC_OPT_INTEGER, AT(gid), false, 0, 4294967294.0},
      {"hostname", ARC_OPT_STRING, AT(hostname), false, 0, 0},
      {"session", ARC_OPT_BOOLEAN, AT(session), false, 0, 0},
      {"die_with_parent", ARC_OPT_BOOLEAN, AT(die_with_parent), false, 0, 0},
      {0}};
#undef AT
  static const char *const names[] = {"stdin", "stdout", "stderr"};
  struct options o = {.io = {"null", "pipe", "inherit"}, .uid = -1, .gid = -1};
  arc_checkoptions(L, 1, table, &o);
  void **box = arc_newbox(L, PROCESS);
  int box_at = lua_gettop(L);
  struct arc_spawn how = {.cwd = o.cwd,
                          .hostname = o.hostname,
                          .socket = o.socket,
                          .session = o.session,
                          .die_with_parent = o.die_with_parent,
                          .drop = o.uid >= 0,
                          .uid = (unsigned)o.uid,
                          .gid = (unsigned)(o.gid >= 0 ? o.gid : o.uid)};
  for (int i = 0; i < 3; i++) {
    how.io[i] = stdio_of(L, names[i], o.io[i], &how.stderr_path);
  }
  how.args = push_args(L);
  how.env = push_env(L, &o);
  struct arc_err *err = NULL;
  *box = arc_process_spawn(arc_getloop(L), &how, &err);
  if (!*box) {
    return arc_pushfailnew(L, err);
  }
  lua_pushvalue(L, box_at);
  return 1;
}

static int waited(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  struct arc_process *process = *(void **)lua_touserdata(L, 1);
  if (!process) { // in the moment between its end and this
    return arc_pushfailnew(L,
                           arc_err_new(ARC_E_CLOSED, "the process was closed"));
  }
  lua_createtable(L, 0, 1);
  if (arc_process_signal(process)) {
    lua_pushstring(L, arc_signal_name(arc_process_signal(process)));
    lua_setfield(L, -2, "signal");
    lua_pushinteger(L, arc_process_signal(process));
    lua_setfield(L, -2, "signal_number");
  } else {
    lua_pushinteger(L, arc_process_status(process));
    lua_setfield(L, -2, "status");
  }
  return 1;
}

static int l_wait(lua_State *L) {
  return arc_await(L, arc_process_wait(check(L)), waited);
}

static int l_kill(lua_State *L) {
  struct arc_process *process = check(L);
  int number = lua_isinteger(L, 2) ? (int)lua_tointeger(L, 2)
                                   : arc_signal_number(luaL_checkstring(L, 2));
  luaL_argcheck(L, number > 0 && number < NSIG, 2, "unknown signal");
  int status = arc_process_kill(process, number);
  if (status) {
    return arc_pushfailnew(L, arc_err_errno(status, "kill"));
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int l_pid(lua_State *L) {
  lua_pushinteger(L, arc_process_pid(check(L)));
  return 1;
}

static int hand_out(lua_State *L, int which, const char *name) {
  struct arc_process *process = check(L);
  int fd = arc_process_take_fd(process, which);
  if (fd < 0) {
    lua_pushnil(L);
    return 1;
  }
  struct arc_stream *s = arc_fdstream_new(arc_getloop(L), fd, -1, name);
  if (!s) {
    return luaL_error(L, "out of memory");
  }
  arc_pushstream(L, s);
  return 1;
}

static int l_stdin(lua_State *L) { return hand_out(L, 0, "child's stdin"); }
static int l_stdout(lua_State *L) { return hand_out(L, 1, "child's stdout"); }
static int l_stderr(lua_State *L) { return hand_out(L, 2, "child's stderr"); }
static int l_stream(lua_State *L) { return hand_out(L, 0, "child"); }

static int process_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, PROCESS);
  struct arc_process *process = *box;
  *box = NULL;
  arc_process_close(process);
  return 0;
}

static int parent_gone(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* await_parent(): true once the process that started us has ended. */
static int l_await_parent(lua_State *L) {
  return arc_await(L, arc_parent_wait(arc_getloop(L)), parent_gone);
}

void arc_open_process(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", l_wait},     {"kill", l_kill},
                                     {"pid", l_pid},       {"stdin", l_stdin},
                                     {"stdout", l_stdout}, {"stderr", l_stderr},
                                     {"stream", l_stream}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"spawn", l_spawn}, {"await_parent", l_await_parent}, {NULL, NULL}};
  arc_newtype(L, PROCESS, methods, process_gc);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "process");
}
