/* SPDX-License-Identifier: MIT */
/* The module arclua.core, and what every binding uses. */
#include "lua/lcore.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/wiped.h"
#include "lua/lstate.h"
#include "util/reason.h"

#define STATE "arclua.state"
#define ERROR "arclua.error"

#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#else
#define EXPORT
#endif

/* Its address is the registry key of the state. */
static const char state_key = 0;

struct arc_state *arc_state_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
  struct arc_state *state = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return state;
}

struct arc_loop *arc_getloop(lua_State *L) {
  return arc_state_of(L)->loop;
}

static int state_gc(lua_State *L) {
  struct arc_state *state = luaL_checkudata(L, 1, STATE);
  if (state->loop) {
    arc_loop_free(state->loop);
    state->loop = NULL;
  }
  free(state->main.levels);
  state->main.levels = NULL;
  return 0;
}

/* One a Lua state, also when the module is opened again: what was made with
 * the first goes on to live with it. */
static void ensure_state(lua_State *L) {
  if (arc_state_of(L)) {
    return;
  }
  struct arc_state *state = lua_newuserdatauv(L, sizeof *state, 0);
  memset(state, 0, sizeof *state);
  luaL_newmetatable(L, STATE);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  state->main.state = state;
  state->loop = arc_loop_new();
  if (!state->loop) {
    luaL_error(L, "cannot make an event loop: no memory or descriptors");
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  state->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state->anchors);
}

/* ---- errors ---------------------------------------------------------------
 */

static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_getfield(L, 1, "op") == LUA_TSTRING) {
    lua_pushliteral(L, ": ");
  } else {
    lua_pushliteral(L, "");
    lua_replace(L, -2);
    lua_pushliteral(L, "");
  }
  lua_getfield(L, 1, "message");
  luaL_tolstring(L, -1, NULL);
  lua_replace(L, -2);
  lua_pushliteral(L, " (");
  lua_getfield(L, 1, "code");
  luaL_tolstring(L, -1, NULL);
  lua_replace(L, -2);
  lua_pushliteral(L, ")");
  lua_concat(L, 6);
  return 1;
}

static void set_text(lua_State *L, const char *key, const char *text) {
  if (text && *text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
  }
}

void arc_pusherror(lua_State *L, const struct arc_err *err) {
  const struct arc_reason *reason =
      err->reason ? arc_reason_find(err->reason) : NULL;
  luaL_checkstack(L, 6, "error");
  lua_createtable(L, 0, 8);
  luaL_setmetatable(L, ERROR);
  set_text(L, "code", arc_code_name(err->code));
  set_text(L, "reason", err->reason);
  set_text(L, "message", err->message);
  set_text(L, "remedy",
           err->remedy ? err->remedy
           : reason    ? reason->remedy
                       : NULL);
  set_text(L, "op", err->op);
  set_text(L, "phase", err->phase);
  set_text(L, "tracking_id", err->tracking_id);
  lua_pushboolean(L, err->retryable);
  lua_setfield(L, -2, "retryable");
  if (err->status) {
    lua_pushinteger(L, err->status);
    lua_setfield(L, -2, "status");
  }
  if (err->retry_after >= 0) {
    lua_pushnumber(L, err->retry_after);
    lua_setfield(L, -2, "retry_after");
  }
  if (err->cause) {
    arc_pusherror(L, err->cause);
    lua_setfield(L, -2, "cause");
  }
}

int arc_pushfail(lua_State *L, const struct arc_err *err) {
  lua_pushnil(L);
  arc_pusherror(L, err);
  return 2;
}

/* Parks err where an error of Lua's own finds it: a box would need memory
 * too, and what is lost then is one error text. */
int arc_pushfailnew(lua_State *L, struct arc_err *err) {
  int n = arc_pushfail(L, err);
  arc_err_unref(err);
  return n;
}

struct arc_err *arc_toerror(lua_State *L, int index) {
  index = lua_absindex(L, index);
  const char *text = NULL;
  enum arc_code code = ARC_E_UNKNOWN;
  if (lua_istable(L, index)) {
    if (lua_getfield(L, index, "code") == LUA_TSTRING) {
      for (int i = 0; i < ARC_E_COUNT; i++) {
        if (!strcmp(arc_code_name((enum arc_code)i), lua_tostring(L, -1))) {
          code = (enum arc_code)i;
        }
      }
    }
    lua_getfield(L, index, "message");
    text = lua_tostring(L, -1);
    struct arc_err *err = arc_err_new(code, "%s", text ? text : "aborted");
    lua_pop(L, 2);
    return err;
  }
  text = lua_tostring(L, index);
  return arc_err_new(code, "%s", text ? text : "aborted");
}

static void add_reasons(lua_State *L) {
  lua_createtable(L, 0, (int)arc_reasons_count);
  for (size_t i = 0; i < arc_reasons_count; i++) {
    lua_createtable(L, 0, 3);
    set_text(L, "code", arc_code_name(arc_reasons[i].code));
    set_text(L, "remedy", arc_reasons[i].remedy);
    lua_pushboolean(L, arc_reasons[i].retryable);
    lua_setfield(L, -2, "retryable");
    lua_setfield(L, -2, arc_reasons[i].name);
  }
  lua_setfield(L, -2, "reasons");
}

/* ---- options --------------------------------------------------------------
 */

static void wrong_type(lua_State *L, const struct arc_opt *opt,
                       const char *expected) {
  luaL_error(L, "option '%s': %s expected, got %s", opt->name, expected,
             luaL_typename(L, -1));
}

static void check_range(lua_State *L, const struct arc_opt *opt, double value) {
  if ((opt->min != 0 || opt->max != 0) &&
      !(value >= opt->min && value <= opt->max)) {
    luaL_error(L, "option '%s': a number from %f to %f expected, got %f",
               opt->name, opt->min, opt->max, value);
  }
}

/* The value is on top of the stack. */
static void read_option(lua_State *L, const struct arc_opt *opt, char *at) {
  switch (opt->type) {
  case ARC_OPT_STRING:
    if (lua_type(L, -1) != LUA_TSTRING) {
      wrong_type(L, opt, "string");
    }
    *(const char **)(void *)at = lua_tostring(L, -1);
    break;
  case ARC_OPT_NUMBER:
    if (lua_type(L, -1) != LUA_TNUMBER) {
      wrong_type(L, opt, "number");
    }
    check_range(L, opt, lua_tonumber(L, -1));
    *(double *)(void *)at = lua_tonumber(L, -1);
    break;
  case ARC_OPT_INTEGER:
    if (!lua_isinteger(L, -1)) {
      wrong_type(L, opt, "integer");
    }
    check_range(L, opt, (double)lua_tointeger(L, -1));
    *(lua_Integer *)(void *)at = lua_tointeger(L, -1);
    break;
  case ARC_OPT_BOOLEAN:
    if (!lua_isboolean(L, -1)) {
      wrong_type(L, opt, "boolean");
    }
    *(bool *)(void *)at = lua_toboolean(L, -1);
    break;
  case ARC_OPT_SECRET:
    if (!arc_tosecret(L, -1)) {
      wrong_type(L, opt, "secret");
    }
    *(struct arc_secret **)(void *)at = arc_tosecret(L, -1);
    break;
  case ARC_OPT_STREAM:
    *(struct arc_stream **)(void *)at = arc_checkstream(L, lua_gettop(L));
    break;
  case ARC_OPT_ANY:
    break;
  }
}

static const struct arc_opt *find_option(const struct arc_opt *opts,
                                         const char *name) {
  for (; opts->name; opts++) {
    if (!strcmp(opts->name, name)) {
      return opts;
    }
  }
  return NULL;
}

void arc_checkoptions(lua_State *L, int index, const struct arc_opt *opts,
                      void *into) {
  index = lua_absindex(L, index);
  if (!lua_isnoneornil(L, index)) {
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index)) {
      const char *name =
          lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
      const struct arc_opt *opt = name ? find_option(opts, name) : NULL;
      if (!opt) {
        luaL_tolstring(L, -2, NULL);
        luaL_error(L, "unknown option '%s'", lua_tostring(L, -1));
        return;
      }
      read_option(L, opt, (char *)into + opt->offset);
      lua_pop(L, 1);
    }
  }
  for (; opts->name; opts++) {
    if (opts->required && (lua_isnoneornil(L, index) ||
                           lua_getfield(L, index, opts->name) == LUA_TNIL)) {
      luaL_error(L, "option '%s' is missing", opts->name);
    }
    if (opts->required) {
      lua_pop(L, 1);
    }
  }
}

/* ---- types ----------------------------------------------------------------
 */

void **arc_newbox(lua_State *L, const char *tname) {
  void **box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = NULL;
  luaL_setmetatable(L, tname);
  return box;
}

void arc_newtype(lua_State *L, const char *tname, const luaL_Reg *methods,
                 lua_CFunction gc) {
  luaL_newmetatable(L, tname);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__close");
  lua_newtable(L);
  if (methods) {
    luaL_setfuncs(L, methods, 0);
  }
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "close");
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

/* ---- clock and counts ------------------------------------------------------
 */

static int l_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)arc_loop_now(arc_getloop(L)) / 1000);
  return 1;
}

static int l_time(lua_State *L) {
  lua_pushnumber(L, arc_loop_time(arc_getloop(L)));
  return 1;
}

static int l_scale(lua_State *L) {
  struct arc_loop *loop = arc_getloop(L);
  lua_pushnumber(L, arc_loop_scale(loop));
  if (!lua_isnoneornil(L, 1)) {
    lua_Number scale = luaL_checknumber(L, 1);
    luaL_argcheck(L, scale > 0 && scale <= 1e6, 1, "scale must be above 0");
    arc_loop_set_scale(loop, scale);
  }
  return 1;
}

static int l_skew(lua_State *L) {
  arc_loop_set_skew(arc_getloop(L), luaL_checknumber(L, 1));
  return 0;
}

static int l_stats(lua_State *L) {
  static const char *const names[ARC_N_KINDS] = {"streams", "ops", "lingers",
                                                 "children"};
  struct arc_state *state = arc_state_of(L);
  lua_newtable(L);
  for (int i = 0; i < ARC_N_KINDS; i++) {
    lua_pushinteger(L, arc_loop_alive(state->loop, (enum arc_count)i));
    lua_setfield(L, -2, names[i]);
  }
  lua_pushinteger(L, state->tasks);
  lua_setfield(L, -2, "tasks");
  return 1;
}

static int l_linger(lua_State *L) {
  struct arc_state *state = arc_state_of(L);
  if (state->current || arc_loop_busy(state->loop)) {
    return luaL_error(L, "linger is for the main thread");
  }
  while (arc_loop_turn(state->loop, false) &&
         arc_loop_alive(state->loop, ARC_N_LINGERS)) {
    arc_loop_turn(state->loop, true);
  }
  return 0;
}

static int l_shutdown(lua_State *L) {
  lua_getfield(L, lua_upvalueindex(1), "kill_tasks");
  lua_call(L, 0, 0);
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  return l_linger(L);
}

EXPORT int luaopen_arclua_core(lua_State *L);

EXPORT int luaopen_arclua_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"now", l_now},     {"time", l_time},
                                       {"scale", l_scale}, {"skew", l_skew},
                                       {"stats", l_stats}, {"linger", l_linger},
                                       {NULL, NULL}};
  luaL_checkversion(L);
  arc_crypto_wipe_memory();
  ensure_state(L);
  luaL_newlib(L, functions);
  luaL_newmetatable(L, ERROR);
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_setfield(L, -2, "error_meta");
  luaL_newmetatable(L, ARC_JSON_ARRAY);
  lua_setfield(L, -2, "array_meta");
  add_reasons(L);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, l_shutdown, 1);
  lua_setfield(L, -2, "shutdown");
  lua_pushliteral(L, ARCLUA_VERSION);
  lua_setfield(L, -2, "version");
  arc_open_task(L);
  arc_open_nested(L);
  arc_open_scope(L);
  arc_open_cond(L);
  arc_open_stream(L);
  arc_open_socks(L);
  arc_open_terminal(L);
  arc_open_process(L);
  arc_open_secret(L);
  arc_open_sys(L);
  arc_open_http(L);
  arc_open_azure(L);
  arc_open_relay(L);
  arc_open_ssh(L);
  arc_open_sftp(L);
  arc_open_local(L);
  arc_open_crypto(L);
  arc_open_server(L);
  return 1;
}
