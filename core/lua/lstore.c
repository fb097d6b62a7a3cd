/* SPDX-License-Identifier: MIT */
/* arclua.core.store: stored sign-ins; secrets pass between file and userdata
 * without ever being Lua strings. */
#include <string.h>

#include "azure/json.h"
#include "azure/store.h"
#include "crypto/seal.h"
#include "lua/lazure.h"
#include "lua/lcore.h"

#define JSON_BOX "arclua.storejson"

static int json_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, JSON_BOX);
  arc_json_wipe(*box);
  *box = NULL;
  return 0;
}

/* Pushes a box with the store's content, or nil, error: then true. */
static bool failed_read(lua_State *L, const char *dir, json_t **root) {
  void **box = arc_newbox(L, JSON_BOX);
  struct arc_err *err = arc_store_read(dir, root);
  *box = *root;
  if (err) {
    arc_pushfailnew(L, err);
  }
  return err;
}

/* What is not for showing. */
static bool is_hidden(const char *name) {
  return !strcmp(name, "secret") || !strcmp(name, "sealed");
}

/* Everything of an account but its secret; sealed: whether that is encrypted.
 */
static void push_account(lua_State *L, const char *id, json_t *account) {
  const char *name;
  json_t *value;
  lua_newtable(L);
  json_object_foreach(account, name, value) {
    if (json_is_string(value) && !is_hidden(name)) {
      lua_pushstring(L, json_string_value(value));
      lua_setfield(L, -2, name);
    }
  }
  lua_pushstring(L, id);
  lua_setfield(L, -2, "id");
  if (json_object_get(account, "sealed")) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "sealed");
  }
}

/* A key for sealing, or NULL. */
static struct arc_secret *opt_key(lua_State *L, int index) {
  struct arc_secret *key =
      lua_isnoneornil(L, index) ? NULL : arc_checksecret(L, index);
  luaL_argcheck(L, !key || key->len == ARC_SEAL_KEY_SIZE, index,
                "a key of 32 bytes expected");
  return key;
}

static int l_read(lua_State *L) {
  json_t *root = NULL;
  const char *id;
  json_t *account;
  lua_Integer n = 0;
  if (failed_read(L, luaL_checkstring(L, 1), &root)) {
    return 2;
  }
  lua_newtable(L);
  lua_newtable(L);
  json_object_foreach(json_object_get(root, "accounts"), id, account) {
    push_account(L, id, account);
    lua_rawseti(L, -2, ++n);
  }
  lua_setfield(L, -2, "accounts");
  lua_pushstring(L, arc_json_text(root, "default"));
  lua_setfield(L, -2, "default");
  return 1;
}

static int l_secret(lua_State *L) {
  struct arc_secret *secret = NULL;
  const char *dir = luaL_checkstring(L, 1), *id = luaL_checkstring(L, 2);
  struct arc_err *err = arc_store_secret(dir, id, opt_key(L, 3), &secret);
  if (err) {
    return arc_pushfailnew(L, err);
  }
  if (secret) {
    arc_pushsecret(L, secret);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* The table at index as an object of strings in a new box. */
static json_t *check_fields(lua_State *L, int index, void ***box) {
  luaL_checktype(L, index, LUA_TTABLE);
  *box = arc_newbox(L, JSON_BOX);
  json_t *fields = **box = json_object();
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    luaL_argcheck(
        L, lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING,
        index, "strings by name expected");
    if (json_object_set_new(fields, lua_tostring(L, -2),
                            json_string(lua_tostring(L, -1)))) {
      luaL_error(L, "member '%s' is not UTF-8", lua_tostring(L, -2));
    }
  }
  return fields;
}

static int pushed(lua_State *L, struct arc_err *err, bool done) {
  if (err) {
    return arc_pushfailnew(L, err);
  }
  lua_pushboolean(L, done);
  return 1;
}

static int l_put(lua_State *L) {
  void **box;
  const char *dir = luaL_checkstring(L, 1);
  const char *id = luaL_checkstring(L, 2);
  const struct arc_secret *secret =
      lua_isnoneornil(L, 4) ? NULL : arc_checksecret(L, 4);
  bool make_default = lua_toboolean(L, 5);
  const struct arc_secret *key = opt_key(L, 6);
  luaL_argcheck(L, !secret || !memchr(secret->bytes, '\0', secret->len), 4,
                "a secret without NUL expected");
  json_t *fields = check_fields(L, 3, &box);
  *box = NULL;
  return pushed(L, arc_store_put(dir, id, fields, secret, key, make_default),
                true);
}

static int l_renew(lua_State *L) {
  bool done;
  const char *dir = luaL_checkstring(L, 1);
  const char *id = luaL_checkstring(L, 2);
  const struct arc_secret *secret = arc_checksecret(L, 3);
  struct arc_err *err = arc_store_renew(dir, id, secret, opt_key(L, 4), &done);
  return pushed(L, err, done);
}

static int l_remove(lua_State *L) {
  bool done;
  struct arc_err *err =
      arc_store_remove(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &done);
  return pushed(L, err, done);
}

static int l_choose(lua_State *L) {
  bool done;
  struct arc_err *err =
      arc_store_choose(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &done);
  return pushed(L, err, done);
}

void arc_openstore(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"read", l_read},   {"secret", l_secret}, {"put", l_put},
      {"renew", l_renew}, {"remove", l_remove}, {"choose", l_choose},
      {NULL, NULL}};
  arc_newtype(L, JSON_BOX, NULL, json_gc);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "store");
}
