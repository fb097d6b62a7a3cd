/* SPDX-License-Identifier: MIT */
/* Coroutines that run inside each other: which one runs, how a signal reaches
 * it, and core.resume and core.wrap, through which a wait passes. */
#include <stdlib.h>

#include "lua/lcore.h"
#include "lua/lstate.h"
#include "lua/ltask.h"

enum { INTERRUPT_GRACE = 1000000 }; /* instructions */

/* ---- which coroutine runs ---------------------------------------------- */

static void stop_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  struct arc_state *state = arc_state_of(L);
  state->interrupted = 0;
  struct arc_err *err = arc_err_new(ARC_E_CANCELLED, "interrupted");
  arc_pusherror(L, err);
  arc_err_unref(err);
  lua_error(L);
}

void arc_level_enter(struct arc_state *state, lua_State *co) {
  state->running = co;
  if (state->interrupted) {
    lua_sethook(co, stop_hook, LUA_MASKCOUNT, INTERRUPT_GRACE);
  }
}

void arc_level_leave(struct arc_state *state, lua_State *co, lua_State *outer) {
  if (lua_gethook(co) == stop_hook) {
    lua_sethook(co, NULL, 0, 0);
  }
  state->running = outer;
  if (!outer) {
    state->interrupted = 0; // it waits: the cancel reaches it there
  } else if (state->interrupted) {
    arc_level_enter(state, outer);
  }
}

void arc_interrupt(struct arc_state *state) {
  lua_State *running = state->running;
  state->interrupted = 1;
  if (running) {
    lua_sethook(running, stop_hook, LUA_MASKCOUNT, INTERRUPT_GRACE);
  }
}

bool arc_level_push(struct arc_task *task, lua_State *co) {
  if (task->depth == task->cap) {
    size_t cap = task->cap ? task->cap * 2 : 4;
    lua_State **levels = realloc(task->levels, cap * sizeof *levels);
    if (!levels) {
      return false;
    }
    task->levels = levels;
    task->cap = cap;
  }
  task->levels[task->depth++] = co;
  return true;
}

/* ---- nested coroutines --------------------------------------------------- */

/* Resumes co, which is a level of the running task while it runs. A wait
 * inside yields further out. Returns the results pushed on L, or -1 with the
 * error on top; -2 when L has to yield. close: what is to be closed in a
 * coroutine that failed is closed now, as Lua's wrap does and resume does
 * not. */
static int run_nested(lua_State *L, lua_State *co, int nargs, bool close) {
  struct arc_state *state = arc_state_of(L);
  struct arc_task *task = state->current;
  lua_State *outer = state->running;
  int nres = 0;
  if (task && !arc_level_push(task, co)) {
    lua_pushliteral(L, "out of memory");
    return -1;
  }
  arc_level_enter(state, co);
  int status = lua_resume(co, L, nargs, &nres);
  arc_level_leave(state, co, outer);
  if (task) {
    task->depth--;
  }
  if (status == LUA_YIELD && task && task->op) {
    lua_pop(co, nres);
    return -2;
  }
  if (status != LUA_OK && status != LUA_YIELD) {
    arc_scopes_leave(task ? task : &state->main, co);
    if (close) {
      lua_resetthread(co); // runs what is to be closed; the error stays
    }
    lua_xmove(co, L, 1);
    return -1;
  }
  if (!lua_checkstack(L, nres + 1)) {
    lua_pop(co, nres);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, nres);
  return nres;
}

/* Moves the arguments from index `first` on to co; checks its state. */
static const char *hand_over(lua_State *L, lua_State *co, int first) {
  int nargs = lua_gettop(L) - first + 1;
  lua_Debug ar;
  if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar)) {
    return "cannot resume non-suspended coroutine";
  }
  if (lua_status(co) > LUA_YIELD ||
      (lua_status(co) == LUA_OK && lua_gettop(co) == 0)) {
    return "cannot resume dead coroutine";
  }
  if (!lua_checkstack(co, nargs)) {
    return "too many arguments to resume";
  }
  lua_xmove(L, co, nargs);
  return NULL;
}

static int resume_results(lua_State *L, int n) {
  if (n < 0) {
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  lua_pushboolean(L, 1);
  lua_insert(L, -(n + 1));
  return n + 1;
}

static int resume_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  int n = run_nested(L, lua_tothread(L, 1), 0, false);
  if (n == -2) {
    return lua_yieldk(L, 0, 0, resume_k);
  }
  return resume_results(L, n);
}

static int l_resume(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTHREAD);
  lua_State *co = lua_tothread(L, 1);
  int nargs = lua_gettop(L) - 1;
  const char *why = hand_over(L, co, 2);
  if (why) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, why);
    return 2;
  }
  int n = run_nested(L, co, nargs, false);
  if (n == -2) {
    return lua_yieldk(L, 0, 0, resume_k);
  }
  return resume_results(L, n);
}

static int wrap_results(lua_State *L, int n) {
  if (n >= 0) {
    return n;
  }
  if (lua_type(L, -1) == LUA_TSTRING) { // say where, as Lua's own wrap does
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int wrap_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  int n = run_nested(L, lua_tothread(L, lua_upvalueindex(1)), 0, true);
  if (n == -2) {
    return lua_yieldk(L, 0, 0, wrap_k);
  }
  return wrap_results(L, n);
}

static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int nargs = lua_gettop(L);
  const char *why = hand_over(L, co, 1);
  if (why) {
    return luaL_error(L, "%s", why);
  }
  int n = run_nested(L, co, nargs, true);
  if (n == -2) {
    return lua_yieldk(L, 0, 0, wrap_k);
  }
  return wrap_results(L, n);
}

static int l_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

void arc_open_nested(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"resume", l_resume}, {"wrap", l_wrap}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
