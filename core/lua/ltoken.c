/* SPDX-License-Identifier: MIT */
/* arclua.core.token: tokens of Entra and of commands. */
#include <stdlib.h>
#include <string.h>

#include "azure/az.h"
#include "azure/challenge.h"
#include "azure/claims.h"
#include "azure/himds.h"
#include "azure/json.h"
#include "azure/redirect.h"
#include "azure/token.h"
#include "lua/lazure.h"
#include "lua/lcore.h"
#include "lua/lhttp.h"
#include "lua/lsshkey.h"

#define CLAIMS_BUF "arclua.claims.buf"

enum { ARGS_MAX = 64 };

struct options {
  const char *url, *ca;
  double timeout;
  bool assertion;
};

static const struct arc_opt request_options[] = {
    {"url", ARC_OPT_STRING, offsetof(struct options, url), true, 0, 0},
    {"form", ARC_OPT_ANY, 0, false, 0, 0},
    {"headers", ARC_OPT_ANY, 0, false, 0, 0},
    {"ssh_key", ARC_OPT_ANY, 0, false, 0, 0},
    {"assertion", ARC_OPT_BOOLEAN, offsetof(struct options, assertion), false,
     0, 0},
    {"ca", ARC_OPT_STRING, offsetof(struct options, ca), false, 0, 0},
    {"timeout", ARC_OPT_NUMBER, offsetof(struct options, timeout), false, 0,
     1e9},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static const struct arc_opt command_options[] = {
    {"args", ARC_OPT_ANY, 0, true, 0, 0},
    {"timeout", ARC_OPT_NUMBER, offsetof(struct options, timeout), false, 0,
     1e9},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static void set_text(lua_State *L, const char *key, const char *text) {
  if (text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
  }
}

static void set_secret(lua_State *L, const char *key,
                       struct arc_secret *secret) {
  if (secret) {
    arc_pushsecret(L, arc_secret_ref(secret));
    lua_setfield(L, -2, key);
  }
}

/* What else is known of the secret, or certificate, on top of the stack. */
static int push_info(lua_State *L, struct arc_token *token) {
  lua_createtable(L, 0, 6);
  lua_pushnumber(L, token->expires_on);
  lua_setfield(L, -2, "expires_on");
  if (token->refresh_on >= 0) {
    lua_pushnumber(L, token->refresh_on);
    lua_setfield(L, -2, "refresh_on");
  }
  if (token->skew != 0) {
    lua_pushnumber(L, token->skew);
    lua_setfield(L, -2, "skew");
  }
  set_text(L, "token_type", token->type);
  set_text(L, "scope", token->scope);
  set_text(L, "tenant", token->tenant);
  set_text(L, "subscription", token->subscription);
  set_text(L, "client_id", token->client_id);
  set_text(L, "object_id", token->object_id);
  set_text(L, "msi_res_id", token->msi_res_id);
  set_secret(L, "refresh_token", token->refresh_token);
  set_secret(L, "id_token", token->id_token);
  return 2;
}

static int push_token(lua_State *L, struct arc_token *token) {
  arc_pushsecret(L, arc_secret_ref(token->secret));
  return push_info(L, token);
}

/* A refusal, with what it says beyond an error. */
static int push_refusal(lua_State *L, struct arc_op *op) {
  const struct arc_token *token = arc_token_of(op);
  arc_pushfail(L, op->err);
  set_text(L, "claims", token->claims);
  set_text(L, "correlation_id", token->correlation_id);
  return 2;
}

static int finish_device(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return push_refusal(L, op);
  }
  const struct arc_token *token = arc_token_of(op);
  arc_pushsecret(L, arc_secret_ref(token->secret));
  lua_createtable(L, 0, 5);
  lua_pushnumber(L, token->expires_on);
  lua_setfield(L, -2, "expires_on");
  lua_pushnumber(L, token->interval);
  lua_setfield(L, -2, "interval");
  set_text(L, "user_code", token->user_code);
  set_text(L, "verification_uri", token->verification_uri);
  set_text(L, "message", token->message);
  return 2;
}

static int finish_request(lua_State *L, struct arc_op *op) {
  return op->err ? push_refusal(L, op) : push_token(L, arc_token_of(op));
}

static int finish_certificate(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return push_refusal(L, op);
  }
  struct arc_token *token = arc_token_of(op);
  arc_pushsshcert(L, token->certificate, token->certified);
  return push_info(L, token);
}

static int finish_command(lua_State *L, struct arc_op *op) {
  return op->err ? arc_pushfail(L, op->err)
                 : push_token(L, arc_az_token_of(op));
}

/* The value is on top of the stack, the name below it. */
static void read_field(lua_State *L, struct arc_form_field *field) {
  if (lua_type(L, -2) != LUA_TSTRING) {
    luaL_error(L, "option 'form': names must be strings");
  }
  field->name = lua_tostring(L, -2);
  struct arc_secret *secret = arc_tosecret(L, -1);
  field->secret = secret != NULL;
  if (secret) {
    field->value = secret->bytes;
    field->n = secret->len;
  } else if (lua_type(L, -1) == LUA_TSTRING) {
    field->value = lua_tolstring(L, -1, &field->n);
  } else {
    luaL_error(L, "option 'form': '%s' must be a string or a secret, got %s",
               field->name, luaL_typename(L, -1));
  }
}

/* Pushes the form and a userdata with its fields. */
static struct arc_form_field *check_form(lua_State *L, size_t *n) {
  int type = lua_getfield(L, 1, "form");
  *n = 0;
  if (type == LUA_TNIL) {
    return NULL;
  }
  if (type != LUA_TTABLE) {
    luaL_error(L, "option 'form': table expected, got %s",
               luaL_typename(L, -1));
  }
  int table = lua_gettop(L);
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    count++;
  }
  struct arc_form_field *fields =
      lua_newuserdatauv(L, (count + 1) * sizeof *fields, 0);
  *n = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    read_field(L, &fields[(*n)++]);
  }
  return fields;
}

static int post(lua_State *L, bool device, arc_finish *finish) {
  struct options opts = {.timeout = 30};
  struct arc_token_request request = {.device = device};
  struct arc_loop *loop = arc_getloop(L);
  lua_settop(L, 1);
  arc_checkoptions(L, 1, request_options, &opts);
  request.headers = arc_checkheaders(L, 1, 0, &request.n_headers);
  request.fields = check_form(L, &request.n_fields);
  request.assertion = opts.assertion;
  lua_getfield(L, 1, "ssh_key");
  request.certify = arc_optsshkey(L, -1, "ssh_key");
  request.url = opts.url;
  request.ca = opts.ca;
  request.deadline = arc_loop_deadline(loop, opts.timeout);
  return arc_await(L, arc_token_request(loop, &request),
                   request.certify ? finish_certificate : finish);
}

static int l_request(lua_State *L) { return post(L, false, finish_request); }

static int l_device(lua_State *L) { return post(L, true, finish_device); }

/* Pushes the table and its strings. */
static void check_args(lua_State *L, char *args[ARGS_MAX + 1]) {
  if (lua_getfield(L, 1, "args") != LUA_TTABLE) {
    luaL_error(L, "option 'args': table expected, got %s",
               luaL_typename(L, -1));
  }
  lua_Integer n = luaL_len(L, -1);
  if (n < 1 || n > ARGS_MAX) {
    luaL_error(L, "option 'args': 1 to %d strings expected", ARGS_MAX);
  }
  int table = lua_gettop(L);
  luaL_checkstack(L, (int)n, "args");
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_geti(L, table, i) != LUA_TSTRING) {
      luaL_error(L, "option 'args': strings expected, got %s",
                 luaL_typename(L, -1));
    }
    args[i - 1] = (char *)(void *)lua_tostring(L, -1);
  }
  args[n] = NULL;
}

static int l_command(lua_State *L) {
  struct options opts = {.timeout = 15};
  struct arc_loop *loop = arc_getloop(L);
  char *args[ARGS_MAX + 1];
  lua_settop(L, 1);
  arc_checkoptions(L, 1, command_options, &opts);
  check_args(L, args);
  return arc_await(
      L, arc_az_token(loop, args, arc_loop_deadline(loop, opts.timeout)),
      finish_command);
}

static int claims_gc(lua_State *L) {
  json_t **box = luaL_checkudata(L, 1, "arclua.claims");
  arc_json_wipe(*box);
  *box = NULL;
  return 0;
}

static int l_claims(lua_State *L) {
  static const char *const shown[] = {
      "tid", "oid", "appid", "upn",   "aud",
      "exp", "iss", "sub",   "nonce", "preferred_username"};
  struct arc_secret *token = arc_checksecret(L, 1);
  void **box = arc_newbox(L, "arclua.claims");
  json_t *claims = *box = arc_claims_read(token);
  if (!claims) {
    return 0;
  }
  lua_newtable(L);
  for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
    const json_t *value = json_object_get(claims, shown[i]);
    if (json_is_integer(value)) {
      lua_pushinteger(L, json_integer_value(value));
      lua_setfield(L, -2, shown[i]);
    } else {
      set_text(L, shown[i], json_string_value(value));
    }
  }
  arc_json_wipe(claims);
  *box = NULL;
  return 1;
}

static int l_declare(lua_State *L) {
  size_t n = 0;
  const char *challenge = luaL_optlstring(L, 1, NULL, &n);
  char *text = arc_claims_declare(challenge, n);
  lua_pushstring(L, text);
  free(text);
  return 1;
}

/* Tokens are opaque: whatever is in one, it must not break out of the text. */
static int l_quote(lua_State *L) {
  const struct arc_secret *secret = arc_checksecret(L, 1);
  json_t *value = json_stringn(secret->bytes, secret->len);
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
  arc_json_wipe(value);
  if (!text) {
    return arc_pushfailnew(
        L, arc_err_new(ARC_E_PROTOCOL, "the token is not UTF-8"));
  }
  struct arc_secret *quoted = arc_secret_new(text, strlen(text));
  explicit_bzero(text, strlen(text));
  free(text);
  if (!quoted) {
    return luaL_error(L, "out of memory");
  }
  arc_pushsecret(L, quoted);
  return 1;
}

/* (head, port, state): status, code | nil, err */
static int l_redirect(lua_State *L) {
  const struct arc_secret *head = arc_checksecret(L, 1);
  int port = (int)luaL_checkinteger(L, 2);
  const char *state = luaL_checkstring(L, 3);
  struct arc_secret *code;
  struct arc_err *err;
  lua_pushinteger(L, arc_redirect_read(head, port, state, &code, &err));
  if (code) {
    arc_pushsecret(L, code);
    return 2;
  }
  return err ? 1 + arc_pushfailnew(L, err) : 1;
}

static int claims_buf_gc(lua_State *L) {
  arc_buf_free(lua_touserdata(L, 1));
  return 0;
}

/* (header): the claims that it asks for, as JSON; nil */
static int l_challenge_claims(lua_State *L) {
  const char *header = luaL_checkstring(L, 1);
  struct arc_buf *claims = lua_newuserdatauv(L, sizeof *claims, 0);
  memset(claims, 0, sizeof *claims);
  luaL_setmetatable(L, CLAIMS_BUF);
  if (!arc_challenge_claims(header, claims)) {
    return 0;
  }
  lua_pushlstring(L, (const char *)arc_buf_head(claims), arc_buf_len(claims));
  return 1;
}

/* (challenge, directory) */
static int l_arc_key(lua_State *L) {
  struct arc_secret *key;
  struct arc_err *err =
      arc_himds_read(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &key);
  if (err) {
    return arc_pushfailnew(L, err);
  }
  arc_pushsecret(L, key);
  return 1;
}

void arc_opentoken(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"request", l_request},   {"device", l_device},
      {"command", l_command},   {"claims", l_claims},
      {"declare", l_declare},   {"quote", l_quote},
      {"redirect", l_redirect}, {"challenge_claims", l_challenge_claims},
      {"arc_key", l_arc_key},   {NULL, NULL}};
  arc_newtype(L, "arclua.claims", NULL, claims_gc);
  luaL_newmetatable(L, CLAIMS_BUF);
  lua_pushcfunction(L, claims_buf_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "token");
}
