/* SPDX-License-Identifier: MIT */
/* SSH: sessions, keys. */
#include <stdlib.h>
#include <string.h>

#include "lua/lcore.h"
#include "lua/lsession.h"
#include "lua/lsshkey.h"
#include "ssh/agent_peer.h"
#include "ssh/keygen.h"
#include "ssh/keys.h"
#include "ssh/session.h"

#define SESSION ARC_LSESSION
#define KEYS "arclua.ssh_keys"

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

struct arc_session *arc_checksession(lua_State *L) {
  void **box = luaL_checkudata(L, 1, SESSION);
  luaL_argcheck(L, *box, 1, "the session is closed");
  return *box;
}

static int l_banner(lua_State *L) {
  lua_pushstring(L, arc_session_banner(arc_checksession(L)));
  return 1;
}

static int l_issue(lua_State *L) {
  lua_pushstring(L, arc_session_issue(arc_checksession(L)));
  return 1;
}

static int l_new_key(lua_State *L) {
  bool certified;
  const char *text = arc_session_new_key(arc_checksession(L), &certified);
  lua_pushstring(L, text);
  lua_pushboolean(L, text && certified);
  return 2;
}

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

/* (path, private text: a secret, public line) */
static int l_write_pair(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const struct arc_secret *text = arc_checksecret(L, 2);
  const char *line = luaL_checkstring(L, 3);
  luaL_argcheck(L, !strpbrk(line, "\r\n"), 3, "one line expected");
  lua_pushfstring(L, "%s\n", line);
  struct arc_err *err =
      arc_ssh_write_pair(path, text->bytes, lua_tostring(L, -1));
  if (err) {
    return arc_pushfailnew(L, arc_err_at(err, "ssh.write_pair", NULL));
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int l_agent(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct arc_err *err = NULL;
  struct arc_stream *stream = arc_agent_dial(arc_getloop(L), path, &err);
  if (!stream) {
    return arc_pushfailnew(L, err);
  }
  arc_pushstream(L, stream);
  return 1;
}

static int keys_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, KEYS);
  struct arc_loop *loop = *box;
  *box = NULL;
  if (loop) {
    arc_keys_leave(loop);
  }
  return 0;
}

/* Keys that were read stay at hand until this is closed. */
static int l_keep_keys(lua_State *L) {
  void **box = arc_newbox(L, KEYS);
  struct arc_loop *loop = arc_getloop(L);
  if (!arc_keys_use(loop)) {
    return luaL_error(L, "out of memory");
  }
  *box = loop;
  return 1;
}

void arc_open_ssh(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"exec", arc_session_lexec},
      {"shell", arc_session_lshell},
      {"subsystem", arc_session_lsubsystem},
      {"direct_tcpip", arc_session_ltcpip},
      {"direct_streamlocal", arc_session_lstreamlocal},
      {"listen", arc_session_llisten},
      {"wait", arc_session_lwait},
      {"banner", l_banner},
      {"issue", l_issue},
      {"new_key", l_new_key},
      {NULL, NULL}};
  static const luaL_Reg functions[] = {{"connect", arc_session_lconnect},
                                       {"probe", arc_session_lprobe},
                                       {"keep_keys", l_keep_keys},
                                       {"keygen", l_keygen},
                                       {"write_pair", l_write_pair},
                                       {"agent", l_agent},
                                       {"agent_message", arc_sshkey_lmessage},
                                       {NULL, NULL}};
  arc_newtype(L, KEYS, NULL, keys_gc);
  arc_newtype(L, SESSION, methods, session_close);
  luaL_newmetatable(L, SESSION);
  lua_pushcfunction(L, session_forget);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  arc_open_connect(L);
  arc_open_exec(L);
  arc_open_shell(L);
  arc_open_forward(L);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "ssh");
}
