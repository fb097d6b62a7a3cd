/* SPDX-License-Identifier: MIT */
/* SSH: sessions, commands, keys. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lua/lcore.h"
#include "lua/lsession.h"
#include "ssh/keygen.h"
#include "ssh/session.h"

#define SESSION "arclua.session"

enum { DEFAULT_TIMEOUT = 30 };

/* ---- ssh.connect ----------------------------------------------------------
 */

struct connect_options {
  const char *user, *alias, *policy, *os;
  struct arc_secret *passphrase;
  double timeout;
};

static const struct arc_opt CONNECT[] = {
    {"user", ARC_OPT_STRING, offsetof(struct connect_options, user), true, 0,
     0},
    {"alias", ARC_OPT_STRING, offsetof(struct connect_options, alias), true, 0,
     0},
    {"known_hosts", ARC_OPT_ANY, 0, false, 0, 0},
    {"host_key_policy", ARC_OPT_STRING,
     offsetof(struct connect_options, policy), false, 0, 0},
    {"identities", ARC_OPT_ANY, 0, false, 0, 0},
    {"agent", ARC_OPT_ANY, 0, false, 0, 0},
    {"passphrase", ARC_OPT_SECRET, offsetof(struct connect_options, passphrase),
     false, 0, 0},
    {"timeout", ARC_OPT_NUMBER, offsetof(struct connect_options, timeout),
     false, 0, 1e9},
    {"os", ARC_OPT_STRING, offsetof(struct connect_options, os), false, 0, 0},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

/* Place of word among the choices; raises when it is none of them. */
static int choose(lua_State *L, const char *name, const char *word,
                  const char *const choices[]) {
  for (int i = 0; choices[i]; i++) {
    if (!strcmp(word, choices[i])) {
      return i;
    }
  }
  return luaL_error(L, "option '%s': unknown value '%s'", name, word);
}

/* A NULL-terminated array of the strings in list option `name` of the table
 * at index, which keeps them alive; pushed as a userdata. NULL (and nil is
 * pushed) when the option is absent. */
static const char *const *push_list(lua_State *L, int index, const char *name) {
  int type = lua_getfield(L, index, name);
  if (type == LUA_TNIL) {
    return NULL;
  }
  if (type != LUA_TTABLE) {
    luaL_error(L, "option '%s': a list of strings expected, got %s", name,
               luaL_typename(L, -1));
  }
  lua_Unsigned n = lua_rawlen(L, -1);
  const char **list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 0);
  for (lua_Unsigned i = 0; i < n; i++) {
    if (lua_rawgeti(L, -2, (lua_Integer)i + 1) != LUA_TSTRING) {
      luaL_error(L, "option '%s': a list of strings expected", name);
    }
    list[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  list[n] = NULL;
  lua_remove(L, -2);
  return list;
}

static void check_agent(lua_State *L, struct arc_session_options *opts) {
  switch (lua_getfield(L, 2, "agent")) {
  case LUA_TNIL:
    opts->use_agent = true;
    break;
  case LUA_TBOOLEAN:
    opts->use_agent = lua_toboolean(L, -1);
    break;
  case LUA_TSTRING:
    opts->use_agent = true;
    opts->agent = lua_tostring(L, -1);
    break;
  default:
    luaL_error(L, "option 'agent': boolean or path expected, got %s",
               luaL_typename(L, -1));
  }
}

static int session_close(lua_State *L) {
  void **box = luaL_checkudata(L, 1, SESSION);
  struct arc_session *session = *box;
  *box = NULL;
  if (session) {
    arc_session_close(session);
  }
  return 0;
}

/* A session that is collected lives on below streams that lead through it. */
static int session_forget(lua_State *L) {
  void **box = luaL_checkudata(L, 1, SESSION);
  struct arc_session *session = *box;
  *box = NULL;
  if (session) {
    arc_session_forget(session);
  }
  return 0;
}

static int connected(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  *arc_newbox(L, SESSION) = arc_session_take(op);
  return 1;
}

static int l_connect(lua_State *L) {
  static const char *const policies[] = {"accept-new", "yes", "no", NULL};
  static const char *const systems[] = {"linux", "windows", NULL};
  struct connect_options given = {
      .policy = "accept-new", .os = "linux", .timeout = DEFAULT_TIMEOUT};
  arc_checkstream(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  arc_checkoptions(L, 2, CONNECT, &given);
  struct arc_session_options opts = {
      .user = given.user,
      .alias = given.alias,
      .policy = (enum arc_hostkey_policy)choose(L, "host_key_policy",
                                                given.policy, policies),
      .known_hosts = push_list(L, 2, "known_hosts"),
      .identities = push_list(L, 2, "identities"),
      .passphrase = given.passphrase,
      .timeout = given.timeout,
      .windows = choose(L, "os", given.os, systems) == 1};
  check_agent(L, &opts);
  struct arc_loop *loop = arc_getloop(L);
  struct arc_stream *stream = arc_takestream(L, 1);
  return arc_await(L, arc_session_connect(loop, stream, &opts), connected);
}

struct arc_session *arc_checksession(lua_State *L) {
  void **box = luaL_checkudata(L, 1, SESSION);
  luaL_argcheck(L, *box, 1, "the session is closed");
  return *box;
}

static int l_banner(lua_State *L) {
  lua_pushstring(L, arc_session_banner(arc_checksession(L)));
  return 1;
}

/* ---- ssh.keygen ------------------------------------------------------------
 */

static int push_line(lua_State *L) {
  lua_pushstring(L, lua_touserdata(L, 1));
  return 1;
}

static int l_keygen(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const char *comment = luaL_optstring(L, 2, "");
  char *line = NULL;
  luaL_argcheck(L, !strpbrk(comment, "\r\n"), 2, "one line expected");
  struct arc_err *err = arc_ssh_keygen(path, comment, &line);
  if (err) {
    return arc_pushfailnew(L, err);
  }
  line[strcspn(line, "\n")] = '\0';
  lua_pushcfunction(L, push_line);
  lua_pushlightuserdata(L, line);
  int rc = lua_pcall(L, 1, 1, 0);
  free(line);
  return rc ? lua_error(L) : 1;
}

void arc_open_ssh(lua_State *L) {
  static const luaL_Reg methods[] = {{"exec", arc_session_lexec},
                                     {"direct_tcpip", arc_session_ltcpip},
                                     {"banner", l_banner},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"connect", l_connect}, {"keygen", l_keygen}, {NULL, NULL}};
  arc_newtype(L, SESSION, methods, session_close);
  luaL_newmetatable(L, SESSION);
  lua_pushcfunction(L, session_forget);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  arc_open_exec(L);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "ssh");
}
