/* SPDX-License-Identifier: MIT */
/* arclua.core.keyring: the key of the stored sign-ins, kept by the desktop. */
#include "azure/keyring.h"
#include "lua/lazure.h"
#include "lua/lcore.h"

struct options {
  bool create;
  double timeout;
};

static const struct arc_opt key_options[] = {
    {"create", ARC_OPT_BOOLEAN, offsetof(struct options, create), false, 0, 0},
    {"timeout", ARC_OPT_NUMBER, offsetof(struct options, timeout), false, 0,
     1e9},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static int finish_key(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  struct arc_secret *key = arc_keyring_key_of(op);
  if (key) {
    arc_pushsecret(L, arc_secret_ref(key));
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static int finish_forget(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushboolean(L, true);
  return 1;
}

static int l_key(lua_State *L) {
  struct options opts = {.timeout = 60};
  struct arc_loop *loop = arc_getloop(L);
  const char *dir = luaL_checkstring(L, 1);
  arc_checkoptions(L, 2, key_options, &opts);
  return arc_await(L,
                   arc_keyring_key(loop, dir, opts.create,
                                   arc_loop_deadline(loop, opts.timeout)),
                   finish_key);
}

static int l_forget(lua_State *L) {
  struct options opts = {.timeout = 60};
  struct arc_loop *loop = arc_getloop(L);
  const char *dir = luaL_checkstring(L, 1);
  arc_checkoptions(L, 2, key_options + 1, &opts);
  return arc_await(
      L, arc_keyring_forget(loop, dir, arc_loop_deadline(loop, opts.timeout)),
      finish_forget);
}

void arc_openkeyring(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"key", l_key}, {"forget", l_forget}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "keyring");
}
