/* SPDX-License-Identifier: MIT */
/* ssh.probe: an SSH server's version and host key, without a login. */
#include <stddef.h>

#include "lua/lcore.h"
#include "lua/lsession.h"
#include "ssh/session.h"

enum { AT_STREAM = 1, AT_OPTIONS, DEFAULT_TIMEOUT = 30 };

struct probe_options {
  const char *alias, *known_hosts;
  double timeout;
};

static const struct arc_opt OPTIONS[] = {
    {"alias", ARC_OPT_STRING, offsetof(struct probe_options, alias), true, 0,
     0},
    {"known_hosts", ARC_OPT_STRING, offsetof(struct probe_options, known_hosts),
     false, 0, 0},
    {"timeout", ARC_OPT_NUMBER, offsetof(struct probe_options, timeout), false,
     0, 1e9},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static void set_text(lua_State *L, const char *key, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static int shown(lua_State *L, struct arc_op *op) {
  static const char *const states[] = {[ARC_KNOWN] = "known",
                                       [ARC_UNKNOWN] = "new",
                                       [ARC_CHANGED] = "changed",
                                       [ARC_REVOKED] = "revoked"};
  struct arc_shown_key key;
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  void **box = arc_newbox(L, ARC_LSESSION);
  struct arc_session *session = arc_session_take(op);
  *box = session; // collected with what follows should memory run out
  arc_session_shown(session, &key);
  lua_createtable(L, 0, 4);
  set_text(L, "banner", arc_session_banner(session));
  set_text(L, "type", key.type);
  set_text(L, "fingerprint", key.fingerprint);
  set_text(L, "known", states[key.known]);
  *box = NULL;
  arc_session_close(session);
  return 1;
}

int arc_session_lprobe(lua_State *L) {
  struct probe_options given = {.timeout = DEFAULT_TIMEOUT};
  arc_checkstream(L, AT_STREAM);
  luaL_checktype(L, AT_OPTIONS, LUA_TTABLE);
  lua_settop(L, AT_OPTIONS);
  arc_checkoptions(L, AT_OPTIONS, OPTIONS, &given);
  const char *files[] = {given.known_hosts, NULL};
  const struct arc_session_options opts = {.user = "probe",
                                           .alias = given.alias,
                                           .known_hosts =
                                               given.known_hosts ? files : NULL,
                                           .timeout = given.timeout,
                                           .probe = true};
  struct arc_loop *loop = arc_getloop(L);
  return arc_await(
      L, arc_session_connect(loop, arc_takestream(L, AT_STREAM), &opts), shown);
}
