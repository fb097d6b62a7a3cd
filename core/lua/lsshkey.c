/* SPDX-License-Identifier: MIT */
/* arclua.core.crypto: RSA keys for SSH, and OpenSSH certificates. */
#include "lua/lsshkey.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "azure/certificate.h"
#include "crypto/base64.h"
#include "crypto/rsagen.h"
#include "lua/lcore.h"
#include "ssh/agent_add.h"

#define KEY_TYPE "arclua.ssh_key"
#define CERT_TYPE "arclua.ssh_certificate"
#define BUF_TYPE "arclua.ssh_key.buf"

/* A certificate, the key it was given for (or NULL), and both as libssh wants
 * them, made at the first login. */
struct held {
  struct arc_sshcert *cert; /* NULL: closed */
  struct arc_sshkey *key;
  struct arc_certified *certified;
};

/* ---- texts ----------------------------------------------------------------
 */

static int buf_gc(lua_State *L) {
  arc_buf_free(lua_touserdata(L, 1));
  return 0;
}

/* Freed by the collector, as what comes next may raise. */
static struct arc_buf *push_buf(lua_State *L) {
  struct arc_buf *buf = lua_newuserdatauv(L, sizeof *buf, 0);
  memset(buf, 0, sizeof *buf);
  luaL_setmetatable(L, BUF_TYPE);
  return buf;
}

static int push_text(lua_State *L, struct arc_buf *buf, bool ok) {
  if (!ok) {
    return luaL_error(L, "out of memory");
  }
  lua_pushlstring(L, (const char *)arc_buf_head(buf), arc_buf_len(buf));
  arc_buf_free(buf);
  return 1;
}

static void push_span(lua_State *L, struct arc_span span) {
  lua_pushlstring(L, span.n ? (const char *)span.at : "", span.n);
}

/* "TYPE BASE64" and, when given, " COMMENT". */
static int push_line(lua_State *L, const char *type, const void *blob, size_t n,
                     const char *comment) {
  struct arc_buf *line = push_buf(L);
  bool ok = arc_buf_format(line, "%s ", type) &&
            arc_base64_encode(line, blob, n, ARC_BASE64_PADDED) &&
            (!*comment || arc_buf_format(line, " %s", comment));
  return push_text(L, line, ok);
}

static const char *opt_comment(lua_State *L, int index) {
  const char *comment = luaL_optstring(L, index, "");
  luaL_argcheck(L, !strpbrk(comment, "\r\n"), index, "one line expected");
  return comment;
}

/* ---- keys -----------------------------------------------------------------
 */

static struct arc_sshkey *check_key(lua_State *L, int index) {
  struct arc_sshkey **box = luaL_checkudata(L, index, KEY_TYPE);
  luaL_argcheck(L, *box, index, "the key is closed");
  return *box;
}

struct arc_sshkey *arc_optsshkey(lua_State *L, int index, const char *option) {
  struct arc_sshkey **box = luaL_testudata(L, index, KEY_TYPE);
  if (lua_isnil(L, index)) {
    return NULL;
  }
  if (!box || !*box) {
    luaL_error(L, "option '%s': an open ssh_key expected, got %s", option,
               box ? "a closed one" : luaL_typename(L, index));
    return NULL; // for the analyzer: it does not come here
  }
  return *box;
}

static int key_gc(lua_State *L) {
  struct arc_sshkey **box = luaL_checkudata(L, 1, KEY_TYPE);
  arc_sshkey_unref(*box);
  *box = NULL;
  return 0;
}

static int new_key_box(lua_State *L) {
  arc_newbox(L, KEY_TYPE);
  return 1;
}

static int key_made(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  new_key_box(L);
  *(void **)lua_touserdata(L, -1) = arc_sshkey_take(op);
  return 1;
}

static int l_ssh_key(lua_State *L) {
  lua_Integer bits = luaL_optinteger(L, 1, ARC_SSHKEY_BITS);
  luaL_argcheck(L, bits >= ARC_RSA_MIN && bits <= ARC_RSA_MAX && bits % 2 == 0,
                1, "2048 to 8192 bits, an even number");
  return arc_await(L, arc_sshkey_generate(arc_getloop(L), (unsigned)bits),
                   key_made);
}

static int l_ssh_public_key(lua_State *L) {
  const char *line = luaL_checkstring(L, 1);
  const char *name = luaL_optstring(L, 2, "the key");
  struct arc_err *err = NULL;
  void **box = arc_newbox(L, KEY_TYPE);
  *box = arc_sshkey_parse(line, name, &err);
  return *box ? 1 : arc_pushfailnew(L, err);
}

static int l_key_id(lua_State *L) {
  lua_pushstring(L, arc_sshkey_id(check_key(L, 1)));
  return 1;
}

static int l_key_jwk(lua_State *L) {
  struct arc_sshkey *key = check_key(L, 1);
  struct arc_buf *buf = push_buf(L);
  return push_text(L, buf, arc_sshkey_jwk(key, buf));
}

static int l_key_public(lua_State *L) {
  struct arc_sshkey *key = check_key(L, 1);
  const char *comment = opt_comment(L, 2);
  struct arc_buf *blob = push_buf(L);
  if (!arc_sshkey_blob(key, blob)) {
    return luaL_error(L, "out of memory");
  }
  return push_line(L, "ssh-rsa", arc_buf_head(blob), arc_buf_len(blob),
                   comment);
}

static int l_key_is_private(lua_State *L) {
  lua_pushboolean(L, arc_sshkey_private(check_key(L, 1)));
  return 1;
}

static int l_key_pem(lua_State *L) {
  struct arc_sshkey *key = check_key(L, 1);
  luaL_argcheck(L, arc_sshkey_private(key), 1, "only its public half is here");
  struct arc_secret *pem = arc_sshkey_pem(key);
  if (!pem) {
    return luaL_error(L, "out of memory");
  }
  arc_pushsecret(L, pem);
  return 1;
}

static int l_key_sign(lua_State *L) {
  size_t n;
  struct arc_sshkey *key = check_key(L, 1);
  const char *data = luaL_checklstring(L, 2, &n);
  luaL_argcheck(L, arc_sshkey_private(key), 1, "only its public half is here");
  struct arc_buf *buf = push_buf(L);
  return push_text(L, buf, arc_sshkey_sign(key, data, n, buf));
}

/* ---- certificates ---------------------------------------------------------
 */

static struct held *check_held(lua_State *L) {
  struct held *held = luaL_checkudata(L, 1, CERT_TYPE);
  luaL_argcheck(L, held->cert, 1, "the certificate is closed");
  return held;
}

static int cert_gc(lua_State *L) {
  struct held *held = luaL_checkudata(L, 1, CERT_TYPE);
  arc_certified_unref(held->certified);
  arc_sshkey_unref(held->key);
  arc_sshcert_unref(held->cert);
  *held = (struct held){NULL, NULL, NULL};
  return 0;
}

static struct held *new_held(lua_State *L) {
  struct held *held = lua_newuserdatauv(L, sizeof *held, 0);
  *held = (struct held){NULL, NULL, NULL};
  luaL_setmetatable(L, CERT_TYPE);
  return held;
}

void arc_pushsshcert(lua_State *L, struct arc_sshcert *cert,
                     struct arc_sshkey *key) {
  struct held *held = new_held(L);
  held->cert = arc_sshcert_ref(cert);
  held->key = arc_sshkey_ref(key);
}

struct arc_certified *arc_optcertified(lua_State *L, int index,
                                       const char *option,
                                       struct arc_err **err) {
  struct held *held = luaL_testudata(L, index, CERT_TYPE);
  if (lua_isnil(L, index)) {
    return NULL;
  }
  if (!held || !held->cert || !held->key || !arc_sshkey_private(held->key)) {
    luaL_error(L, "option '%s': a certificate with its private key expected",
               option);
    return NULL;
  }
  if (!held->certified) {
    held->certified = arc_certified_new(held->key, held->cert, err);
  }
  return held->certified;
}

/* (line or base64, key?) */
static int l_ssh_certificate(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  struct arc_sshkey *key = lua_isnoneornil(L, 2) ? NULL : check_key(L, 2);
  struct arc_err *err = NULL;
  struct held *held = new_held(L);
  held->cert =
      arc_certificate_parse(text, key, arc_loop_time(arc_getloop(L)), &err);
  held->key = held->cert && key ? arc_sshkey_ref(key) : NULL;
  return held->cert ? 1 : arc_pushfailnew(L, err);
}

static int l_cert_type(lua_State *L) {
  struct held *held = check_held(L);
  lua_pushstring(L, held->cert->type);
  lua_pushstring(L, held->cert->kind == ARC_SSHCERT_USER ? "user" : "host");
  return 2;
}

static int l_cert_key_id(lua_State *L) {
  push_span(L, check_held(L)->cert->key_id);
  return 1;
}

/* As text: a Lua integer has one bit less. */
static int l_cert_serial(lua_State *L) {
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, check_held(L)->cert->serial);
  lua_pushstring(L, text);
  return 1;
}

static int l_cert_validity(lua_State *L) {
  struct held *held = check_held(L);
  lua_pushnumber(L, (lua_Number)held->cert->valid_after);
  lua_pushnumber(L, (lua_Number)held->cert->valid_before);
  return 2;
}

static int l_cert_principals(lua_State *L) {
  struct arc_span list = check_held(L)->cert->principals, one;
  lua_newtable(L);
  for (lua_Integer i = 1; arc_sshcert_next(&list, &one); i++) {
    push_span(L, one);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static int push_options(lua_State *L, struct arc_span list) {
  struct arc_span name, data;
  lua_newtable(L);
  while (arc_sshcert_next(&list, &name) && arc_sshcert_next(&list, &data)) {
    push_span(L, name);
    push_span(L, arc_sshcert_value(data));
    lua_rawset(L, -3);
  }
  return 1;
}

static int l_cert_extensions(lua_State *L) {
  return push_options(L, check_held(L)->cert->extensions);
}

static int l_cert_critical(lua_State *L) {
  return push_options(L, check_held(L)->cert->critical);
}

static int l_cert_line(lua_State *L) {
  struct held *held = check_held(L);
  return push_line(L, held->cert->type, held->cert->blob, held->cert->n_blob,
                   opt_comment(L, 2));
}

int arc_sshkey_lmessage(lua_State *L) {
  struct held *held = check_held(L);
  const char *comment = luaL_checkstring(L, 2);
  lua_Integer seconds = luaL_checkinteger(L, 3);
  luaL_argcheck(L, held->key && arc_sshkey_private(held->key), 1,
                "a certificate with its private key expected");
  luaL_argcheck(L, seconds > 0 && seconds <= UINT32_MAX, 3,
                "seconds, 1 or more");
  struct arc_secret *message =
      arc_agent_add_message(held->key, held->cert, comment, (uint32_t)seconds);
  if (!message) {
    return luaL_error(L, "out of memory");
  }
  arc_pushsecret(L, message);
  return 1;
}

void arc_add_sshkey(lua_State *L) {
  static const luaL_Reg key_methods[] = {{"id", l_key_id},
                                         {"jwk", l_key_jwk},
                                         {"public", l_key_public},
                                         {"is_private", l_key_is_private},
                                         {"pem", l_key_pem},
                                         {"sign", l_key_sign},
                                         {NULL, NULL}};
  static const luaL_Reg cert_methods[] = {{"type", l_cert_type},
                                          {"key_id", l_cert_key_id},
                                          {"serial", l_cert_serial},
                                          {"validity", l_cert_validity},
                                          {"principals", l_cert_principals},
                                          {"extensions", l_cert_extensions},
                                          {"critical_options", l_cert_critical},
                                          {"line", l_cert_line},
                                          {NULL, NULL}};
  static const luaL_Reg functions[] = {{"ssh_key", l_ssh_key},
                                       {"ssh_public_key", l_ssh_public_key},
                                       {"ssh_certificate", l_ssh_certificate},
                                       {NULL, NULL}};
  arc_newtype(L, KEY_TYPE, key_methods, key_gc);
  arc_newtype(L, CERT_TYPE, cert_methods, cert_gc);
  luaL_newmetatable(L, BUF_TYPE);
  lua_pushcfunction(L, buf_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
