/* SPDX-License-Identifier: MIT */
/* arclua.core.arm: requests to Azure Resource Manager. */
#include <string.h>

#include "azure/arm.h"
#include "azure/json.h"
#include "lua/lazure.h"
#include "lua/lcore.h"
#include "lua/lhttp.h"

static const char credentials_body[] = "{\"serviceName\":\"SSH\"}";

struct options {
  const char *url, *method, *body, *ca;
  struct arc_secret *token;
  double timeout;
  bool once;
};

static const struct arc_opt request_options[] = {
    {"url", ARC_OPT_STRING, offsetof(struct options, url), true, 0, 0},
    {"token", ARC_OPT_SECRET, offsetof(struct options, token), true, 0, 0},
    {"method", ARC_OPT_STRING, offsetof(struct options, method), false, 0, 0},
    {"body", ARC_OPT_STRING, offsetof(struct options, body), false, 0, 0},
    {"headers", ARC_OPT_ANY, 0, false, 0, 0},
    {"ca", ARC_OPT_STRING, offsetof(struct options, ca), false, 0, 0},
    {"timeout", ARC_OPT_NUMBER, offsetof(struct options, timeout), false, 0,
     1e9},
    {"once", ARC_OPT_BOOLEAN, offsetof(struct options, once), false, 0, 0},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static const struct arc_opt credentials_options[] = {
    {"url", ARC_OPT_STRING, offsetof(struct options, url), true, 0, 0},
    {"token", ARC_OPT_SECRET, offsetof(struct options, token), true, 0, 0},
    {"headers", ARC_OPT_ANY, 0, false, 0, 0},
    {"ca", ARC_OPT_STRING, offsetof(struct options, ca), false, 0, 0},
    {"timeout", ARC_OPT_NUMBER, offsetof(struct options, timeout), false, 0,
     1e9},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static void push_json(lua_State *L, const json_t *value);

/* Members that are null are absent. */
static void push_object(lua_State *L, const json_t *object) {
  const char *key;
  json_t *member;
  lua_createtable(L, 0, (int)json_object_size(object));
  json_object_foreach((json_t *)(void *)object, key, member) {
    if (!json_is_null(member)) {
      push_json(L, member);
      lua_setfield(L, -2, key);
    }
  }
}

static void push_array(lua_State *L, const json_t *array) {
  lua_Integer n = 0;
  lua_createtable(L, (int)json_array_size(array), 0);
  for (size_t i = 0; i < json_array_size(array); i++) {
    const json_t *member = json_array_get(array, i);
    if (!json_is_null(member)) {
      push_json(L, member);
      lua_rawseti(L, -2, ++n);
    }
  }
  luaL_setmetatable(L, ARC_JSON_ARRAY);
}

/* As deep as the parser allows. */
static void push_json(lua_State *L, const json_t *value) {
  luaL_checkstack(L, 4, "JSON");
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    push_object(L, value);
    break;
  case JSON_ARRAY:
    push_array(L, value);
    break;
  case JSON_STRING:
    lua_pushlstring(L, json_string_value(value), json_string_length(value));
    break;
  case JSON_INTEGER:
    lua_pushinteger(L, json_integer_value(value));
    break;
  case JSON_REAL:
    lua_pushnumber(L, json_real_value(value));
    break;
  case JSON_NULL:
    lua_pushnil(L);
    break;
  default:
    lua_pushboolean(L, json_is_true(value));
  }
}

static void set_text(lua_State *L, const char *key, const char *text) {
  if (text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
  }
}

static void push_page(lua_State *L, const struct arc_arm_op *arm) {
  static const char *const wanted[] = {
      "x-ms-ratelimit-*",     "x-ms-user-quota-*",
      "x-ms-tenant-*",        "location",
      "azure-asyncoperation", "etag",
      "www-authenticate",     NULL};
  double wait = arc_http_retry_after(arm->http);
  lua_createtable(L, 0, 6);
  lua_pushinteger(L, arm->http->status);
  lua_setfield(L, -2, "status");
  set_text(L, "next_link", arc_json_text(arm->value, "nextLink"));
  if (wait >= 0) {
    lua_pushnumber(L, wait);
    lua_setfield(L, -2, "retry_after");
  }
  set_text(L, "request_id", arc_http_header(arm->http, "x-ms-request-id"));
  set_text(L, "correlation_id",
           arc_http_header(arm->http, "x-ms-correlation-request-id"));
  arc_pushheaders(L, arm->http, wanted);
  lua_setfield(L, -2, "headers");
}

static void set_facts(lua_State *L, const struct arc_arm_facts *facts) {
  set_text(L, "service_code", *facts->code ? facts->code : NULL);
  set_text(L, "target", *facts->target ? facts->target : NULL);
}

/* value or nil, nil or err, the page unless no answer came */
static int push_result(lua_State *L, struct arc_arm_op *arm) {
  if (arm->op.err) {
    arc_pusherror(L, arm->op.err);
    set_facts(L, &arm->facts);
    if (arm->http) {
      set_text(L, "correlation_id",
               arc_http_header(arm->http, "x-ms-correlation-request-id"));
    }
  } else {
    lua_pushnil(L);
  }
  if (!arm->http || !arm->http->status) {
    return 2;
  }
  push_page(L, arm);
  return 3;
}

static int finish_request(lua_State *L, struct arc_op *op) {
  struct arc_arm_op *arm = (struct arc_arm_op *)op;
  if (op->err) {
    lua_pushnil(L);
  } else if (arm->value) {
    push_json(L, arm->value);
  } else {
    lua_pushboolean(L, true);
  }
  return push_result(L, arm);
}

static int finish_credentials(lua_State *L, struct arc_op *op) {
  struct arc_arm_op *arm = (struct arc_arm_op *)op;
  if (op->err) {
    lua_pushnil(L);
  } else {
    arc_pushrelayinfo(L, arm->info);
    arm->info = NULL;
  }
  return push_result(L, arm);
}

static void fill(lua_State *L, const struct options *opts,
                 struct arc_arm_request *request) {
  request->url = opts->url;
  request->token = opts->token;
  request->ca = opts->ca;
  request->fresh = opts->once;
  request->deadline = arc_loop_deadline(arc_getloop(L), opts->timeout);
}

static int l_request(lua_State *L) {
  struct options opts = {.timeout = 60};
  struct arc_arm_request request = {0};
  lua_settop(L, 1);
  arc_checkoptions(L, 1, request_options, &opts);
  fill(L, &opts, &request);
  request.method = opts.method;
  if (opts.body) {
    lua_getfield(L, 1, "body");
    request.body = lua_tolstring(L, -1, &request.n_body);
  }
  request.headers = arc_checkheaders(L, 1, 0, &request.n_headers);
  return arc_await(L, arc_arm_request(arc_getloop(L), &request),
                   finish_request);
}

static int l_relay_credentials(lua_State *L) {
  struct options opts = {.timeout = 60};
  struct arc_arm_request request = {.method = "POST",
                                    .body = credentials_body,
                                    .n_body = sizeof credentials_body - 1,
                                    .list_credentials = true};
  lua_settop(L, 1);
  arc_checkoptions(L, 1, credentials_options, &opts);
  fill(L, &opts, &request);
  request.headers = arc_checkheaders(L, 1, 0, &request.n_headers);
  return arc_await(L, arc_arm_request(arc_getloop(L), &request),
                   finish_credentials);
}

static int l_failure(lua_State *L) {
  struct arc_arm_facts facts;
  size_t n;
  int status = (int)luaL_checkinteger(L, 1);
  const char *text = luaL_checklstring(L, 2, &n);
  arc_pushfailnew(L, arc_arm_error(status, text, n, false, &facts));
  set_facts(L, &facts);
  return 1;
}

void arc_openarm(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"request", l_request},
      {"relay_credentials", l_relay_credentials},
      {"failure", l_failure},
      {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "arm");
}
