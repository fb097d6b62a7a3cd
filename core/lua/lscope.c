/* SPDX-License-Identifier: MIT */
/* sleep; arc.timeout and arc.shield: scopes that decide whether a wait may go
 * on. */
#include <string.h>

#include "lua/lcore.h"
#include "lua/lstate.h"

/* ---- why a wait is refused --------------------------------------------- */

/* The error with which a wait ends now, or NULL. */
struct arc_err *arc_task_refusal(const struct arc_task *task) {
  for (const struct arc_scope *s = task->scope; s; s = s->outer) {
    if (s->shield && !s->expired) {
      return NULL;
    }
    if (!s->shield && s->expired) {
      return arc_err_new(ARC_E_TIMEOUT, "timed out");
    }
  }
  return task->cancelled ? arc_err_new(ARC_E_CANCELLED, "cancelled") : NULL;
}

/* Ends the pending wait when it must not go on. */
void arc_task_recheck(struct arc_task *task) {
  if (task->op && !task->op->done) {
    struct arc_err *err = arc_task_refusal(task);
    if (err) {
      arc_op_cancel(task->op, err);
    }
  }
}

/* ---- scopes: timeout and shield ------------------------------------------ */

static void expire(void *arg) {
  struct arc_scope *scope = arg;
  scope->expired = true;
  arc_task_recheck(scope->task);
}

static void leave(struct arc_scope *scope) {
  struct arc_task *task = scope->task;
  if (!task) {
    return;
  }
  arc_timer_stop(task->state->loop, &scope->timer);
  struct arc_scope **at = &task->scope;
  while (*at && *at != scope) {
    at = &(*at)->outer;
  }
  if (*at) {
    *at = scope->outer;
  }
  scope->task = NULL;
}

void arc_scopes_leave(struct arc_task *task, lua_State *co) {
  struct arc_scope *scope = task->scope;
  while (scope) {
    struct arc_scope *outer = scope->outer;
    if (scope->co == co) {
      leave(scope);
    }
    scope = outer;
  }
}

static int scope_gc(lua_State *L) {
  leave(luaL_checkudata(L, 1, ARC_SCOPE));
  return 0;
}

static int scoped_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L) - 1; // the scope below is closed on return
}

/* (seconds, fn, ...): runs fn inside a scope that is left on every path. */
static int run_scoped(lua_State *L, bool shield) {
  struct arc_state *state = arc_state_of(L);
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_checkany(L, 2);
  struct arc_scope *scope = lua_newuserdatauv(L, sizeof *scope, 0);
  memset(scope, 0, sizeof *scope);
  luaL_setmetatable(L, ARC_SCOPE);
  lua_replace(L, 1); // scope, fn, args
  scope->shield = shield;
  scope->co = L;
  scope->task = state->current ? state->current : &state->main;
  scope->outer = scope->task->scope;
  scope->task->scope = scope;
  int64_t due = arc_loop_deadline(state->loop, seconds);
  arc_timer_start(state->loop, &scope->timer, due, expire, scope);
  lua_toclose(L, 1);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, scoped_k);
  return scoped_k(L, LUA_OK, 0);
}

static int l_timeout(lua_State *L) { return run_scoped(L, false); }
static int l_shield(lua_State *L) { return run_scoped(L, true); }

/* ---- sleep --------------------------------------------------------------- */

static int slept(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int l_sleep(lua_State *L) {
  struct arc_loop *loop = arc_getloop(L);
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0, 1, "seconds must not be negative");
  int64_t due =
      arc_loop_now(loop) + (int64_t)(seconds < 1e9 ? seconds * 1000 : 1e12);
  return arc_await(L, arc_op_sleep(loop, due), slept);
}

void arc_open_scope(lua_State *L) {
  static const luaL_Reg functions[] = {{"sleep", l_sleep},
                                       {"timeout", l_timeout},
                                       {"shield", l_shield},
                                       {NULL, NULL}};
  arc_newtype(L, ARC_SCOPE, NULL, scope_gc);
  luaL_setfuncs(L, functions, 0);
}
