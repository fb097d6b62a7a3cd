/* SPDX-License-Identifier: MIT */
/* ssh.connect. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lua/lcore.h"
#include "lua/lsession.h"
#include "lua/lsshkey.h"
#include "ssh/session.h"

#define LOGIN "arclua.login"

enum { DEFAULT_TIMEOUT = 30, DEFAULT_KEEPALIVE = 30, REKEY_MIN = 16384 };

struct connect_options {
  const char *user, *alias, *policy, *os;
  struct arc_secret *passphrase, *password;
  double timeout, keepalive;
  lua_Integer rekey_bytes, rekey_seconds;
  bool identities_only;
};

static const struct arc_opt CONNECT[] = {
    {"user", ARC_OPT_STRING, offsetof(struct connect_options, user), true, 0,
     0},
    {"alias", ARC_OPT_STRING, offsetof(struct connect_options, alias), true, 0,
     0},
    {"known_hosts", ARC_OPT_ANY, 0, false, 0, 0},
    {"hash_known_hosts", ARC_OPT_ANY, 0, false, 0, 0},
    {"host_key_policy", ARC_OPT_STRING,
     offsetof(struct connect_options, policy), false, 0, 0},
    {"identities", ARC_OPT_ANY, 0, false, 0, 0},
    {"identities_only", ARC_OPT_BOOLEAN,
     offsetof(struct connect_options, identities_only), false, 0, 0},
    {"certificate", ARC_OPT_ANY, 0, false, 0, 0},
    {"certificates", ARC_OPT_ANY, 0, false, 0, 0},
    {"agent", ARC_OPT_ANY, 0, false, 0, 0},
    {"passphrase", ARC_OPT_SECRET, offsetof(struct connect_options, passphrase),
     false, 0, 0},
    {"password", ARC_OPT_SECRET, offsetof(struct connect_options, password),
     false, 0, 0},
    {"methods", ARC_OPT_ANY, 0, false, 0, 0},
    {"prompt", ARC_OPT_ANY, 0, false, 0, 0},
    {"timeout", ARC_OPT_NUMBER, offsetof(struct connect_options, timeout),
     false, 0, 1e9},
    {"keepalive", ARC_OPT_NUMBER, offsetof(struct connect_options, keepalive),
     false, 0, 1e6},
    {"rekey_bytes", ARC_OPT_INTEGER,
     offsetof(struct connect_options, rekey_bytes), false, REKEY_MIN, 1e15},
    {"rekey_seconds", ARC_OPT_INTEGER,
     offsetof(struct connect_options, rekey_seconds), false, 1, 1e6},
    {"os", ARC_OPT_STRING, offsetof(struct connect_options, os), false, 0, 0},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

/* The stack of a running login, and where its loop comes from. */
enum { AT_STREAM = 1, AT_OPTIONS, AT_BOX, AT_TOP = AT_BOX };
enum { FROM_START, FROM_WAIT, FROM_PROMPT };

/* A login under way: what is to be waited for, or the session that asks. */
struct login {
  struct arc_op *op;
  struct arc_session *session;
};

/* ---- options --------------------------------------------------------------
 */

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

/* A NULL-terminated array of the strings in list option `name`, which the
 * option table keeps alive; pushed as a userdata. NULL (and nil is pushed)
 * when the option is absent. */
static const char *const *push_list(lua_State *L, const char *name) {
  int type = lua_getfield(L, AT_OPTIONS, name);
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
  switch (lua_getfield(L, AT_OPTIONS, "agent")) {
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

static void check_hashing(lua_State *L, struct arc_session_options *opts) {
  int type = lua_getfield(L, AT_OPTIONS, "hash_known_hosts");
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) {
    luaL_error(L, "option 'hash_known_hosts': boolean expected, got %s",
               luaL_typename(L, -1));
  }
  opts->hash_hosts = type == LUA_TNIL       ? ARC_HASH_AS_FILE
                     : lua_toboolean(L, -1) ? ARC_HASH_ALWAYS
                                            : ARC_HASH_NEVER;
}

static void check_prompt(lua_State *L, struct arc_session_options *opts) {
  int type = lua_getfield(L, AT_OPTIONS, "prompt");
  if (type != LUA_TNIL && type != LUA_TFUNCTION) {
    luaL_error(L, "option 'prompt': function expected, got %s",
               luaL_typename(L, -1));
  }
  opts->can_ask = type == LUA_TFUNCTION;
}

static void check_methods(lua_State *L, struct arc_session_options *opts) {
  static const char *const names[] = {"publickey", "keyboard-interactive",
                                      "password", NULL};
  const char *const *list = push_list(L, "methods");
  if (!list) {
    list = names;
  }
  for (size_t n = 0; *list; list++) {
    enum arc_auth_method m =
        (enum arc_auth_method)(1 << choose(L, "methods", *list, names));
    for (size_t i = 0; i < n; i++) {
      luaL_argcheck(L, opts->methods[i] != m, AT_OPTIONS,
                    "option 'methods': a method stands twice");
    }
    opts->methods[n++] = m;
  }
}

/* ---- the login ------------------------------------------------------------
 */

static void release(struct login *login) {
  struct arc_op *op = login->op;
  struct arc_session *session = login->session;
  login->op = NULL;
  login->session = NULL;
  if (op) {
    arc_op_free(op);
  }
  if (session) {
    arc_session_close(session);
  }
}

static int login_gc(lua_State *L) {
  release(luaL_checkudata(L, 1, LOGIN));
  return 0;
}

static int waited(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  struct login *login = lua_touserdata(L, 1);
  login->session = arc_session_take(op);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_wait(lua_State *L) {
  struct login *login = luaL_checkudata(L, 1, LOGIN);
  struct arc_op *op = login->op;
  login->op = NULL;
  return arc_await(L, op, waited);
}

static void set_text(lua_State *L, const char *key, const char *text) {
  if (text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
  }
}

static void push_question(lua_State *L, const struct arc_question *q) {
  static const char *const kinds[] = {"passphrase", "password",
                                      "keyboard-interactive"};
  lua_createtable(L, 0, 9);
  set_text(L, "kind", kinds[q->kind]);
  set_text(L, "text", q->text);
  set_text(L, "path", q->path);
  set_text(L, "name", q->name);
  set_text(L, "instruction", q->instruction);
  lua_getfield(L, AT_OPTIONS, "user");
  lua_setfield(L, -2, "user");
  lua_getfield(L, AT_OPTIONS, "alias");
  lua_setfield(L, -2, "alias");
  lua_pushboolean(L, q->echo);
  lua_setfield(L, -2, "echo");
  lua_pushinteger(L, q->attempt);
  lua_setfield(L, -2, "attempt");
}

/* Takes the answer on top of the stack to the session. */
static void answer(lua_State *L, struct login *login) {
  struct arc_secret *secret = NULL;
  if (!lua_isnil(L, -1) && !(secret = arc_tosecret(L, -1))) {
    luaL_error(L, "option 'prompt': it returned a %s; a Secret or nil expected",
               luaL_typename(L, -1));
  }
  struct arc_session *session = login->session;
  login->session = NULL;
  login->op = arc_session_answer(session, secret);
}

/* Waits until the login is over, or asks; then calls the prompt function,
 * which may wait: then Lua comes back here with ctx. */
static int go_on(lua_State *L, int status, lua_KContext ctx) {
  struct login *login = lua_touserdata(L, AT_BOX);
  for (;;) {
    if (status != LUA_OK && status != LUA_YIELD) {
      release(login);
      return lua_error(L);
    }
    if (ctx == FROM_WAIT && lua_isnil(L, AT_TOP + 1)) {
      return 2;
    }
    if (ctx == FROM_PROMPT) {
      answer(L, login);
    }
    lua_settop(L, AT_TOP);
    const struct arc_question *question =
        login->session ? arc_session_question(login->session) : NULL;
    if (question) {
      lua_getfield(L, AT_OPTIONS, "prompt");
      push_question(L, question);
      ctx = FROM_PROMPT;
      status = lua_pcallk(L, 1, 1, 0, ctx, go_on);
    } else if (login->session) {
      void **box = arc_newbox(L, ARC_LSESSION);
      *box = login->session;
      login->session = NULL;
      return 1;
    } else {
      ctx = FROM_WAIT;
      lua_pushcfunction(L, l_wait);
      lua_pushvalue(L, AT_BOX);
      lua_callk(L, 1, 2, ctx, go_on);
      status = LUA_OK;
    }
  }
}

int arc_session_lconnect(lua_State *L) {
  static const char *const policies[] = {"accept-new", "yes", "no", NULL};
  static const char *const systems[] = {"linux", "windows", NULL};
  struct connect_options given = {.policy = "accept-new",
                                  .os = "linux",
                                  .timeout = DEFAULT_TIMEOUT,
                                  .keepalive = DEFAULT_KEEPALIVE};
  arc_checkstream(L, AT_STREAM);
  luaL_checktype(L, AT_OPTIONS, LUA_TTABLE);
  lua_settop(L, AT_OPTIONS);
  arc_checkoptions(L, AT_OPTIONS, CONNECT, &given);
  struct login *login = lua_newuserdatauv(L, sizeof *login, 0);
  *login = (struct login){NULL, NULL};
  luaL_setmetatable(L, LOGIN);
  struct arc_session_options opts = {
      .user = given.user,
      .alias = given.alias,
      .policy = (enum arc_hostkey_policy)choose(L, "host_key_policy",
                                                given.policy, policies),
      .known_hosts = push_list(L, "known_hosts"),
      .identities = push_list(L, "identities"),
      .certificates = push_list(L, "certificates"),
      .identities_only = given.identities_only,
      .passphrase = given.passphrase,
      .password = given.password,
      .timeout = given.timeout,
      .keepalive = given.keepalive,
      .rekey_bytes = (uint64_t)given.rekey_bytes,
      .rekey_seconds = (uint32_t)given.rekey_seconds,
      .windows = choose(L, "os", given.os, systems) == 1};
  check_agent(L, &opts);
  check_hashing(L, &opts);
  check_prompt(L, &opts);
  check_methods(L, &opts);
  struct arc_err *err = NULL;
  lua_getfield(L, AT_OPTIONS, "certificate");
  opts.certified = arc_optcertified(L, -1, "certificate", &err);
  if (err) {
    arc_stream_close(arc_takestream(L, AT_STREAM));
    return arc_pushfailnew(L, err);
  }
  struct arc_loop *loop = arc_getloop(L);
  login->op = arc_session_connect(loop, arc_takestream(L, AT_STREAM), &opts);
  return go_on(L, LUA_OK, FROM_START);
}

void arc_open_connect(lua_State *L) { arc_newtype(L, LOGIN, NULL, login_gc); }
