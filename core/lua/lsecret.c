/* SPDX-License-Identifier: MIT */
/* Secrets: userdata that print "<redacted>". */
#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/digest.h"
#include "lua/lcore.h"
#include "net/secretline.h"
#include "net/secretrequest.h"
#include "util/buf.h"
#include "util/secretfile.h"

#define SECRET "arclua.secret"

enum { SECRET_FILE_MAX = 64 * 1024, RANDOM_MAX = 1024 };

static int new_secret_box(lua_State *L) {
  arc_newbox(L, SECRET);
  return 1;
}

void arc_pushsecret(lua_State *L, struct arc_secret *secret) {
  lua_pushcfunction(L, new_secret_box);
  if (lua_pcall(L, 0, 1, 0)) {
    arc_secret_unref(secret);
    lua_error(L);
  }
  *(void **)lua_touserdata(L, -1) = secret;
}

struct arc_secret *arc_tosecret(lua_State *L, int index) {
  void **box = luaL_testudata(L, index, SECRET);
  return box ? *box : NULL;
}

struct arc_secret *arc_checksecret(lua_State *L, int index) {
  void **box = luaL_checkudata(L, index, SECRET);
  luaL_argcheck(L, *box, index, "the secret is closed");
  return *box;
}

static int secret_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, SECRET);
  struct arc_secret *secret = *box;
  *box = NULL;
  arc_secret_unref(secret);
  return 0;
}

static int l_tostring(lua_State *L) {
  luaL_checkudata(L, 1, SECRET);
  lua_pushliteral(L, "<redacted>");
  return 1;
}

static int push_copy(lua_State *L, const char *bytes, size_t n) {
  void **box = arc_newbox(L, SECRET);
  *box = arc_secret_new(bytes, n);
  return *box ? 1 : luaL_error(L, "out of memory");
}

static int l_secret(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  return push_copy(L, text, n);
}

/* (name, take): taken, it is gone for child processes and in /proc, too. */
static int l_secret_env(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  bool take = lua_toboolean(L, 2);
  char *value = getenv(name);
  if (!value || !*value) {
    lua_pushnil(L);
    return 1;
  }
  push_copy(L, value, strlen(value));
  if (take) {
    explicit_bzero(value, strlen(value));
    unsetenv(name);
  }
  return 1;
}

static int got_line(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushsecret(L, arc_secretline_take(op));
  return 1;
}

static int l_read_secret(lua_State *L) {
  return arc_await(L, arc_secretline(arc_takestream(L, 1)), got_line);
}

static int got_request(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  struct arc_stream *s;
  struct arc_secret *request = arc_secretrequest_take(op, &s);
  lua_settop(L, 0);
  arc_pushsecret(L, request);
  arc_pushstream(L, s);
  return 2;
}

static int l_read_request(lua_State *L) {
  return arc_await(L, arc_secretrequest(arc_takestream(L, 1)), got_request);
}

/* Of n random bytes: base64url text. */
static int l_secret_random(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n > 0 && n <= RANDOM_MAX, 1, "1 to 1024 bytes");
  void **box = arc_newbox(L, SECRET);
  uint8_t bytes[RANDOM_MAX];
  struct arc_buf text = {.secret = true};
  if (arc_crypto_random(bytes, (size_t)n) &&
      arc_base64_encode(&text, bytes, (size_t)n, ARC_BASE64_URL)) {
    *box = arc_secret_new(arc_buf_head(&text), arc_buf_len(&text));
  }
  explicit_bzero(bytes, sizeof bytes);
  arc_buf_free(&text);
  return *box ? 1 : luaL_error(L, "no random bytes");
}

struct file_options {
  bool follow;
  lua_Integer max;
};

static const struct arc_opt file_options[] = {
    {"follow", ARC_OPT_BOOLEAN, offsetof(struct file_options, follow), false, 0,
     0},
    {"max", ARC_OPT_INTEGER, offsetof(struct file_options, max), false, 1,
     1 << 24},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

/* The bytes are the secret's own: what is cut off is wiped here. */
static void cut_line_end(struct arc_secret *secret) {
  while (secret->len && (secret->bytes[secret->len - 1] == '\n' ||
                         secret->bytes[secret->len - 1] == '\r')) {
    secret->bytes[--secret->len] = '\0';
  }
}

static int l_secret_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct file_options opts = {.max = SECRET_FILE_MAX};
  arc_checkoptions(L, 2, file_options, &opts);
  void **box = arc_newbox(L, SECRET);
  struct arc_secret *secret = NULL;
  uid_t owner = 0;
  struct arc_err *failed =
      arc_secretfile_read(path, (size_t)opts.max, opts.follow, &secret, &owner);
  if (failed) {
    return arc_pushfailnew(L, failed);
  }
  *box = secret;
  cut_line_end(secret);
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, (lua_Integer)owner);
  lua_setfield(L, -2, "uid");
  lua_pushinteger(L, (lua_Integer)secret->len);
  lua_setfield(L, -2, "size");
  return 2;
}

void arc_open_secret(lua_State *L) {
  static const luaL_Reg functions[] = {{"secret", l_secret},
                                       {"secret_env", l_secret_env},
                                       {"secret_file", l_secret_file},
                                       {"secret_random", l_secret_random},
                                       {"read_secret", l_read_secret},
                                       {"read_request", l_read_request},
                                       {NULL, NULL}};
  arc_newtype(L, SECRET, NULL, secret_gc);
  luaL_newmetatable(L, SECRET);
  lua_pushcfunction(L, l_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
