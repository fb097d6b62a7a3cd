/* SPDX-License-Identifier: MIT */
/* arclua.core.crypto: an application's certificate, and what it signs. */
#include "lua/lclientcert.h"

#include <string.h>

#include "crypto/ca.h"
#include "crypto/clientcert.h"
#include "crypto/pss.h"
#include "lua/lcore.h"
#include "util/secretfile.h"

#define CERT_TYPE "arclua.client_certificate"
#define BUF_TYPE "arclua.client_certificate.buf"

enum { FILE_MAX_BYTES = 256 * 1024 };

static int buf_gc(lua_State *L) {
  arc_buf_free(lua_touserdata(L, 1));
  return 0;
}

/* Wiped and freed by the collector, as what comes next may raise. */
static struct arc_buf *push_buf(lua_State *L) {
  struct arc_buf *buf = lua_newuserdatauv(L, sizeof *buf, 0);
  memset(buf, 0, sizeof *buf);
  buf->secret = true;
  luaL_setmetatable(L, BUF_TYPE);
  return buf;
}

static int push_text(lua_State *L, struct arc_buf *buf, bool ok) {
  if (!ok) {
    return luaL_error(L, "the crypto library failed");
  }
  lua_pushlstring(L, (const char *)arc_buf_head(buf), arc_buf_len(buf));
  arc_buf_free(buf);
  return 1;
}

static struct arc_clientcert *check_cert(lua_State *L) {
  struct arc_clientcert **box = luaL_checkudata(L, 1, CERT_TYPE);
  luaL_argcheck(L, *box, 1, "the certificate is closed");
  return *box;
}

static int l_gc(lua_State *L) {
  struct arc_clientcert **box = luaL_checkudata(L, 1, CERT_TYPE);
  arc_clientcert_free(*box);
  *box = NULL;
  return 0;
}

static int l_load(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct arc_secret *password =
      lua_isnoneornil(L, 2) ? NULL : arc_checksecret(L, 2);
  void **box = arc_newbox(L, CERT_TYPE);
  struct arc_secret *bytes = NULL;
  uid_t owner;
  struct arc_err *err =
      arc_secretfile_read(path, FILE_MAX_BYTES, true, &bytes, &owner);
  if (err) {
    return arc_pushfailnew(L, err);
  }
  *box = arc_clientcert_parse(bytes, password, path, &err);
  arc_secret_unref(bytes);
  return *box ? 1 : arc_pushfailnew(L, err);
}

static int l_validity(lua_State *L) {
  double from = 0, to = 0;
  if (!arc_clientcert_validity(check_cert(L), &from, &to)) {
    return luaL_error(L, "the crypto library failed");
  }
  lua_pushnumber(L, from);
  lua_pushnumber(L, to);
  return 2;
}

static int l_thumbprint(lua_State *L) {
  static const char *const kinds[] = {"SHA256", "SHA1", NULL};
  struct arc_clientcert *cert = check_cert(L);
  bool sha1 = luaL_checkoption(L, 2, "SHA256", kinds) == 1;
  struct arc_buf *buf = push_buf(L);
  return push_text(L, buf, arc_clientcert_thumbprint(cert, sha1, buf));
}

static int l_chain(lua_State *L) {
  struct arc_clientcert *cert = check_cert(L);
  lua_newtable(L);
  for (size_t i = 0; i < arc_clientcert_count(cert); i++) {
    struct arc_buf *buf = push_buf(L);
    push_text(L, buf, arc_clientcert_der(cert, i, buf));
    lua_rawseti(L, -3, (lua_Integer)i + 1);
    lua_pop(L, 1);
  }
  return 1;
}

static int l_sign(lua_State *L) {
  static const char *const algorithms[] = {"PS256", "RS256", NULL};
  size_t n_header, n_claims;
  struct arc_clientcert *cert = check_cert(L);
  const char *header = luaL_checklstring(L, 2, &n_header);
  const char *claims = luaL_checklstring(L, 3, &n_claims);
  bool rs256 = luaL_checkoption(L, 4, "PS256", algorithms) == 1;
  struct arc_buf *buf = push_buf(L);
  struct arc_secret *jwt = NULL;
  if (arc_clientcert_sign(cert, rs256, header, n_header, claims, n_claims,
                          buf)) {
    jwt = arc_secret_new(arc_buf_head(buf), arc_buf_len(buf));
  }
  if (!jwt) {
    return luaL_error(L, "the crypto library failed");
  }
  arc_pushsecret(L, jwt);
  return 1;
}

static int l_verify(lua_State *L) {
  size_t n_pem, n;
  const char *pem = luaL_checklstring(L, 1, &n_pem);
  struct arc_secret *secret = arc_tosecret(L, 2);
  const char *token = secret ? secret->bytes : luaL_checklstring(L, 2, &n);
  n = secret ? secret->len : n;
  struct arc_buf *buf = push_buf(L);
  struct arc_err *err = arc_pss_verify(pem, n_pem, token, n, buf);
  return err ? arc_pushfailnew(L, err) : push_text(L, buf, true);
}

static int l_make(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  struct arc_buf *cert = push_buf(L), *key = push_buf(L);
  bool ok = arc_ca_client(name, cert, key);
  lua_createtable(L, 0, 2);
  push_text(L, cert, ok);
  lua_setfield(L, -2, "cert");
  push_text(L, key, ok);
  lua_setfield(L, -2, "key");
  return 1;
}

void arc_add_clientcert(lua_State *L) {
  static const luaL_Reg methods[] = {{"validity", l_validity},
                                     {"thumbprint", l_thumbprint},
                                     {"chain", l_chain},
                                     {"sign", l_sign},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"client_certificate", l_load},
                                       {"jwt_verify_certificate", l_verify},
                                       {"make_client_certificate", l_make},
                                       {NULL, NULL}};
  arc_newtype(L, CERT_TYPE, methods, l_gc);
  luaL_newmetatable(L, BUF_TYPE);
  lua_pushcfunction(L, buf_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
