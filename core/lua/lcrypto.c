/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "crypto/base64.h"
#include "crypto/ca.h"
#include "crypto/crypt.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "lua/lclientcert.h"
#include "lua/lcore.h"
#include "lua/lsshkey.h"

#define RSA_TYPE "arclua.rsa_key"
#define BUF_TYPE "arclua.crypto.buf"

static int l_failed(lua_State *L) {
  return luaL_error(L, "the crypto library failed");
}

static int l_buf_gc(lua_State *L) {
  arc_buf_free(lua_touserdata(L, 1));
  return 0;
}

/* An empty buffer that the collector frees: pushing its text may raise. */
static struct arc_buf *push_buf(lua_State *L) {
  struct arc_buf *buf = lua_newuserdatauv(L, sizeof *buf, 0);
  memset(buf, 0, sizeof *buf);
  luaL_setmetatable(L, BUF_TYPE);
  return buf;
}

/* Pushes the buffer's bytes and empties it. */
static void push_bytes(lua_State *L, struct arc_buf *buf) {
  lua_pushlstring(L, (const char *)arc_buf_head(buf), arc_buf_len(buf));
  arc_buf_free(buf);
}

/* The bytes of a string or of a secret. */
static const char *check_bytes(lua_State *L, int index, size_t *n) {
  struct arc_secret *secret = arc_tosecret(L, index);
  if (secret) {
    *n = secret->len;
    return secret->bytes;
  }
  return luaL_checklstring(L, index, n);
}

static int l_random(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= 1 << 20, 1, "0 to 1048576 bytes");
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, (size_t)n);
  if (!arc_crypto_random(to, (size_t)n)) {
    return l_failed(L);
  }
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

static int l_uuid(lua_State *L) {
  char text[ARC_UUID_SIZE];
  if (!arc_crypto_uuid(text)) {
    return l_failed(L);
  }
  lua_pushstring(L, text);
  return 1;
}

static int l_sha256(lua_State *L) {
  size_t n;
  const char *data = check_bytes(L, 1, &n);
  uint8_t out[ARC_SHA256_SIZE];
  if (!arc_crypto_sha256(data, n, out)) {
    return l_failed(L);
  }
  lua_pushlstring(L, (const char *)out, sizeof out);
  return 1;
}

/* crypt(password, setting): the hash as /etc/shadow has it, or nil. */
static int l_crypt(lua_State *L) {
  const char *password = luaL_checkstring(L, 1);
  lua_pushstring(L, arc_crypt(password, luaL_checkstring(L, 2)));
  return 1;
}

static int l_hmac_sha256(lua_State *L) {
  size_t n_key, n;
  const char *key = check_bytes(L, 1, &n_key);
  const char *data = luaL_checklstring(L, 2, &n);
  uint8_t out[ARC_SHA256_SIZE];
  if (!arc_crypto_hmac_sha256(key, n_key, data, n, out)) {
    return l_failed(L);
  }
  lua_pushlstring(L, (const char *)out, sizeof out);
  return 1;
}

static int l_equal(lua_State *L) {
  size_t n_a, n_b;
  const char *a = check_bytes(L, 1, &n_a);
  const char *b = check_bytes(L, 2, &n_b);
  lua_pushboolean(L, arc_crypto_equal(a, n_a, b, n_b));
  return 1;
}

static int l_hex(lua_State *L) {
  static const char digits[] = "0123456789abcdef";
  size_t n;
  const char *data = luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, n * 2);
  for (size_t i = 0; i < n; i++) {
    to[2 * i] = digits[(unsigned char)data[i] >> 4];
    to[2 * i + 1] = digits[(unsigned char)data[i] & 15];
  }
  luaL_pushresultsize(&b, n * 2);
  return 1;
}

static int encode(lua_State *L, enum arc_base64 kind) {
  size_t n;
  const char *data = luaL_checklstring(L, 1, &n);
  struct arc_buf *buf = push_buf(L);
  if (!arc_base64_encode(buf, data, n, kind)) {
    return l_failed(L);
  }
  push_bytes(L, buf);
  return 1;
}

static int l_base64(lua_State *L) { return encode(L, ARC_BASE64_PADDED); }

static int l_base64url(lua_State *L) { return encode(L, ARC_BASE64_URL); }

static int l_unbase64(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  struct arc_buf *buf = push_buf(L);
  if (arc_base64_decode(buf, text, n)) {
    push_bytes(L, buf);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static struct arc_rsa *check_rsa(lua_State *L, int index) {
  struct arc_rsa **box = luaL_checkudata(L, index, RSA_TYPE);
  luaL_argcheck(L, *box, index, "the key is closed");
  return *box;
}

static int l_rsa_gc(lua_State *L) {
  struct arc_rsa **box = luaL_checkudata(L, 1, RSA_TYPE);
  arc_rsa_free(*box);
  *box = NULL;
  return 0;
}

static int l_rsa_key(lua_State *L) {
  void **box = arc_newbox(L, RSA_TYPE);
  *box = arc_rsa_new();
  return *box ? 1 : l_failed(L);
}

static int l_rsa_jwk(lua_State *L) {
  struct arc_rsa *key = check_rsa(L, 1);
  struct arc_buf *buf = push_buf(L);
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, "RSA");
  lua_setfield(L, -2, "kty");
  if (!arc_rsa_modulus(key, buf)) {
    return l_failed(L);
  }
  push_bytes(L, buf);
  lua_setfield(L, -2, "n");
  if (!arc_rsa_exponent(key, buf)) {
    return l_failed(L);
  }
  push_bytes(L, buf);
  lua_setfield(L, -2, "e");
  return 1;
}

static int l_rsa_pem(lua_State *L) {
  struct arc_rsa *key = check_rsa(L, 1);
  struct arc_buf *buf = push_buf(L);
  buf->secret = true;
  if (!arc_rsa_pem(key, buf)) {
    return l_failed(L);
  }
  push_bytes(L, buf);
  return 1;
}

static int l_jwt_sign(lua_State *L) {
  size_t n_header, n_claims;
  struct arc_rsa *key = check_rsa(L, 1);
  const char *header = luaL_checklstring(L, 2, &n_header);
  const char *claims = luaL_checklstring(L, 3, &n_claims);
  struct arc_buf *buf = push_buf(L);
  if (!arc_jwt_sign(key, header, n_header, claims, n_claims, buf)) {
    return l_failed(L);
  }
  push_bytes(L, buf);
  return 1;
}

static int l_jwt_verify(lua_State *L) {
  size_t n;
  struct arc_rsa *key = check_rsa(L, 1);
  const char *token = check_bytes(L, 2, &n);
  struct arc_buf *buf = push_buf(L);
  struct arc_err *err = arc_jwt_verify(key, token, n, buf);
  if (err) {
    return arc_pushfailnew(L, err);
  }
  push_bytes(L, buf);
  return 1;
}

static int l_ca_gc(lua_State *L) {
  arc_ca_free(lua_touserdata(L, 1));
  return 0;
}

enum { MOST_NAMES = 64 };

static int l_make_ca(lua_State *L) {
  const char *names[MOST_NAMES];
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = luaL_len(L, 1);
  luaL_argcheck(L, n > 0 && n <= MOST_NAMES, 1, "1 to 64 names");
  luaL_checkstack(L, MOST_NAMES + 8, NULL);
  for (lua_Integer i = 0; i < n; i++) {
    /* left on the stack: they stay alive while used */
    luaL_argcheck(L, lua_geti(L, 1, i + 1) == LUA_TSTRING, 1,
                  "names are strings");
    names[i] = lua_tostring(L, -1);
    luaL_argcheck(L, strlen(names[i]) == lua_rawlen(L, -1), 1, "a NUL in it");
  }
  struct arc_ca *made = lua_newuserdatauv(L, sizeof *made, 0);
  memset(made, 0, sizeof *made);
  luaL_setmetatable(L, "arclua.crypto.ca");
  if (!arc_ca_make(made, names, (size_t)n)) {
    return luaL_argerror(L, 1, "cannot make certificates for these names");
  }
  lua_createtable(L, 0, 3);
  push_bytes(L, &made->ca);
  lua_setfield(L, -2, "ca");
  push_bytes(L, &made->cert);
  lua_setfield(L, -2, "cert");
  push_bytes(L, &made->key);
  lua_setfield(L, -2, "key");
  return 1;
}

static void new_plain_type(lua_State *L, const char *name, lua_CFunction gc) {
  luaL_newmetatable(L, name);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

static const luaL_Reg rsa_methods[] = {
    {"jwk", l_rsa_jwk}, {"pem", l_rsa_pem}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"random", l_random},
                                     {"uuid", l_uuid},
                                     {"crypt", l_crypt},
                                     {"sha256", l_sha256},
                                     {"hmac_sha256", l_hmac_sha256},
                                     {"equal", l_equal},
                                     {"hex", l_hex},
                                     {"base64", l_base64},
                                     {"base64url", l_base64url},
                                     {"unbase64", l_unbase64},
                                     {"rsa_key", l_rsa_key},
                                     {"jwt_sign", l_jwt_sign},
                                     {"jwt_verify", l_jwt_verify},
                                     {"make_ca", l_make_ca},
                                     {NULL, NULL}};

void arc_open_crypto(lua_State *L) {
  arc_newtype(L, RSA_TYPE, rsa_methods, l_rsa_gc);
  new_plain_type(L, BUF_TYPE, l_buf_gc);
  new_plain_type(L, "arclua.crypto.ca", l_ca_gc);
  luaL_newlib(L, functions);
  arc_add_clientcert(L);
  arc_add_sshkey(L);
  lua_setfield(L, -2, "crypto");
}
