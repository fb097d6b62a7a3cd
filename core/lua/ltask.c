/* SPDX-License-Identifier: MIT */
/* Tasks and the one place where Lua waits (style rules 25-32). */
#include "lua/ltask.h"

#include <stdlib.h>
#include <string.h>

#include "lua/lcore.h"
#include "lua/lstate.h"

#define TASK "arclua.task"
#define OP "arclua.op"

enum { REFUSALS_MAX = 1000, SHUTDOWN_ROUNDS = 10 };

/* Someone who waits for the end of a task. */
struct join_op {
  struct arc_op op;
  struct arc_task *task;
  struct join_op *next;
};

static struct arc_task *check_task(lua_State *L, int index) {
  return luaL_checkudata(L, index, TASK);
}

/* ---- resuming ----------------------------------------------------------- */

static void finish_joins(struct arc_task *task) {
  while (task->joins) {
    struct join_op *op = task->joins;
    task->joins = op->next;
    op->task = NULL;
    arc_op_finish(&op->op, NULL);
  }
}

/* Pushes the table of running tasks, which keeps them from the collector. */
static void push_anchors(lua_State *L, struct arc_state *state) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state->anchors);
}

static void unanchor(lua_State *L, struct arc_task *task) {
  push_anchors(L, task->state);
  lua_pushnil(L);
  lua_rawsetp(L, -2, task);
  lua_pop(L, 1);
}

/* The error on top of co gets a traceback (when it is text) and is kept. */
static void keep_error(struct arc_task *task) {
  lua_State *co = task->co;
  if (lua_type(co, -1) == LUA_TSTRING) {
    luaL_traceback(co, co, lua_tostring(co, -1), 0);
  }
  lua_State *L = task->state->L;
  lua_xmove(co, L, 1);
  push_anchors(L, task->state);
  lua_rawgetp(L, -1, task);
  lua_pushvalue(L, -3);
  lua_setiuservalue(L, -2, 2);
  lua_pop(L, 3);
  lua_resetthread(co); // runs what is to be closed
}

/* (handler, task): tells the handler the task's error as text. */
static int tell_error(lua_State *L) {
  lua_getiuservalue(L, 2, 2);
  luaL_tolstring(L, -1, NULL); // may be user code, which may fail
  lua_replace(L, 2);
  lua_settop(L, 2);
  lua_call(L, 1, 0);
  return 0;
}

static void report(struct arc_task *task) {
  lua_State *L = task->state->L;
  lua_pushcfunction(L, tell_error);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &task->state->on_error);
  push_anchors(L, task->state);
  lua_rawgetp(L, -1, task);
  lua_remove(L, -2); // tell_error, handler, task
  if (!lua_isfunction(L, -2)) {
    lua_pop(L, 3);
  } else if (lua_pcall(L, 2, 0, 0)) {
    lua_pop(L, 1);
  }
}

static void ended(struct arc_task *task, int status, int nres) {
  struct arc_state *state = task->state;
  bool awaited = task->joins != NULL;
  state->tasks--;
  if (status == LUA_OK) {
    task->status = TASK_DONE;
    task->nres = nres;
  } else {
    task->status = TASK_FAILED;
    keep_error(task);
    if (!awaited) {
      report(task);
    }
  }
  finish_joins(task);
  unanchor(state->L, task);
}

static void arc_resume(void *arg);

static void wake(struct arc_op *op, void *arg) {
  struct arc_task *task = arg;
  op->notify = NULL;
  task->op = NULL;
  arc_resume(task);
}

static void arc_resume(void *arg) {
  struct arc_task *task = arg;
  struct arc_state *state = task->state;
  struct arc_task *outer = state->current;
  int nres = 0;
  int nargs = task->nargs;
  task->nargs = 0;
  state->current = task;
  task->depth = 0;
  int status = LUA_ERRMEM;
  if (arc_level_push(task, task->co)) {
    arc_level_enter(state, task->co);
    status = lua_resume(task->co, state->L, nargs, &nres);
    arc_level_leave(state, task->co, NULL);
  } else {
    lua_pushliteral(task->co, "out of memory");
  }
  task->depth = 0;
  state->current = outer;
  if (status != LUA_YIELD) {
    ended(task, status, nres);
    return;
  }
  if (task->op) {
    task->op->notify = wake;
    task->op->notify_arg = task;
  } else { // coroutine.yield() of the task itself: let the others run
    lua_pop(task->co, nres);
    arc_ready_post(state->loop, &task->ready);
  }
}

/* ---- waiting ------------------------------------------------------------ */

/* The task that waits for op, or NULL. */
static struct arc_task *waiter_of(const struct arc_op *op) {
  return op->notify == wake ? op->notify_arg : NULL;
}

/* At the end of the state also the op of a task that waits. */
static int op_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, OP);
  struct arc_op *op = *box;
  *box = NULL;
  if (op && waiter_of(op)) {
    waiter_of(op)->op = NULL;
  }
  arc_op_free(op);
  return 0;
}

static int new_op_box(lua_State *L) {
  void *op = lua_touserdata(L, 1);
  *arc_newbox(L, OP) = op;
  return 1;
}

/* Moves the ownership of op to a userdata on top of the stack. */
static void park(lua_State *L, struct arc_op *op) {
  lua_pushcfunction(L, new_op_box);
  lua_pushlightuserdata(L, op);
  if (lua_pcall(L, 1, 1, 0)) {
    arc_op_free(op);
    lua_error(L);
  }
}

/* Someone else has resumed the coroutine that waits: the wait is over, and
 * the task that it belongs to finds out when it runs next. */
static void disturbed(struct arc_op *op) {
  struct arc_task *task = waiter_of(op);
  if (task) {
    task->op = NULL;
    arc_ready_post(op->loop, &task->ready);
  }
  arc_op_cancel(op, arc_err_new(ARC_E_CANCELLED, "resumed while it waited"));
}

static int await_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  arc_finish *finish = (arc_finish *)ctx;
  void **box = lua_touserdata(L, -1);
  struct arc_op *op = *box;
  if (!op->done) {
    disturbed(op);
  }
  op->notify = NULL;
  int n = finish(L, op);
  *box = NULL;
  arc_op_free(op);
  return n;
}

static int refuse_forever(lua_State *L, struct arc_op *op) {
  arc_pusherror(L, op->err);
  return lua_error(L);
}

/* Turns the loop on the main thread until op is done. */
static void drive(lua_State *L, struct arc_state *state, struct arc_op *op) {
  struct arc_task *task = &state->main;
  task->op = op;
  while (!op->done) {
    if (!arc_loop_turn(state->loop, true)) {
      task->op = NULL;
      luaL_error(L, "waiting for something that cannot happen any more");
    }
  }
  task->op = NULL;
}

static bool may_yield(const struct arc_task *task, lua_State *L) {
  if (!task->depth || task->levels[task->depth - 1] != L) {
    return false;
  }
  for (size_t i = 0; i < task->depth; i++) {
    if (!lua_isyieldable(task->levels[i])) {
      return false;
    }
  }
  return true;
}

int arc_await(lua_State *L, struct arc_op *op, arc_finish *finish) {
  struct arc_state *state = arc_state_of(L);
  if (!op) {
    return luaL_error(L, "out of memory");
  }
  park(L, op);
  struct arc_task *task = state->current ? state->current : &state->main;
  struct arc_err *err = arc_task_refusal(task);
  if (err) {
    arc_op_cancel(op, err);
    if (op->done && ++task->refused > REFUSALS_MAX) {
      return refuse_forever(L, op);
    }
  } else {
    task->refused = 0;
  }
  if (op->done) {
    return await_k(L, LUA_OK, (lua_KContext)finish);
  }
  if (state->current) {
    if (!may_yield(task, L)) {
      return luaL_error(L, "cannot wait here (across a C call or inside a "
                           "coroutine that is not resumed by arclua)");
    }
    task->op = op;
    return lua_yieldk(L, 0, (lua_KContext)finish, await_k);
  }
  if (arc_loop_busy(state->loop)) {
    return luaL_error(L, "cannot wait here (inside a callback of the loop)");
  }
  drive(L, state, op);
  return await_k(L, LUA_OK, (lua_KContext)finish);
}

/* ---- tasks ----------------------------------------------------------------
 */

int arc_spawn(lua_State *L, int nargs) {
  struct arc_state *state = arc_state_of(L);
  struct arc_task *task = lua_newuserdatauv(L, sizeof *task, 2);
  memset(task, 0, sizeof *task);
  luaL_setmetatable(L, TASK);
  lua_State *co = lua_newthread(L);
  lua_setiuservalue(L, -2, 1);
  push_anchors(L, state);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, task);
  lua_pop(L, 1);
  lua_insert(L, -(nargs + 2)); // task, fn, args
  if (!lua_checkstack(co, nargs + 1)) {
    return luaL_error(L, "too many arguments to spawn");
  }
  lua_xmove(L, co, nargs + 1);
  task->state = state;
  task->co = co;
  task->nargs = nargs;
  arc_ready_init(&task->ready, arc_resume, task);
  arc_ready_post(state->loop, &task->ready);
  state->tasks++;
  return 1;
}

static int l_spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  return arc_spawn(L, lua_gettop(L) - 1);
}

int arc_task_results(lua_State *L, int index) {
  struct arc_task *task = check_task(L, index);
  if (task->status == TASK_FAILED) {
    lua_getiuservalue(L, index, 2);
    return -1;
  }
  int first = lua_gettop(task->co) - task->nres + 1;
  luaL_checkstack(L, task->nres, "too many results");
  for (int i = 0; i < task->nres; i++) {
    lua_pushvalue(task->co, first + i);
    lua_xmove(task->co, L, 1);
  }
  return task->nres;
}

static int joined(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  int n = arc_task_results(L, 1);
  return n < 0 ? lua_error(L) : n;
}

static void join_detach(struct arc_op *op) {
  struct join_op *leaving = (struct join_op *)op;
  if (!leaving->task) {
    return;
  }
  struct join_op **at = &leaving->task->joins;
  while (*at != leaving) {
    at = &(*at)->next;
  }
  *at = leaving->next;
  leaving->task = NULL;
}

static int l_task_await(lua_State *L) {
  static const struct arc_op_class cls = {.name = "task.await",
                                          .detach = join_detach};
  struct arc_task *task = check_task(L, 1);
  lua_settop(L, 1);
  if (task == task->state->current) {
    return luaL_error(L, "a task cannot await itself");
  }
  struct join_op *op =
      arc_op_new(task->state->loop, &cls, sizeof *op, ARC_FOREVER);
  if (op && task->status != TASK_RUNNING) {
    arc_op_finish(&op->op, NULL);
  } else if (op) {
    op->task = task;
    op->next = task->joins;
    task->joins = op;
  }
  return arc_await(L, op ? &op->op : NULL, joined);
}

void arc_cancel_task(lua_State *L, int index) {
  struct arc_task *task = check_task(L, index);
  if (task->status == TASK_RUNNING) {
    task->cancelled = true;
    arc_task_recheck(task);
  }
}

static int l_task_cancel(lua_State *L) {
  arc_cancel_task(L, 1);
  return 0;
}

static int l_task_status(lua_State *L) {
  static const char *const names[] = {"running", "done", "failed"};
  lua_pushstring(L, names[check_task(L, 1)->status]);
  return 1;
}

static int task_gc(lua_State *L) {
  struct arc_task *task = check_task(L, 1);
  struct arc_loop *loop = task->state ? task->state->loop : NULL;
  if (loop) {
    arc_ready_cancel(loop, &task->ready);
  }
  for (struct arc_scope *s = task->scope; loop && s; s = s->outer) {
    arc_timer_stop(loop, &s->timer);
    s->task = NULL; // the scopes are collected with the coroutine
  }
  task->scope = NULL;
  while (task->joins) {
    join_detach(&task->joins->op);
  }
  free(task->levels);
  task->levels = NULL;
  task->depth = task->cap = 0;
  return 0;
}

int arc_run_task(lua_State *L, int index) {
  struct arc_task *task = check_task(L, index);
  while (task->status == TASK_RUNNING) {
    if (!arc_loop_turn(task->state->loop, true)) {
      return 0;
    }
  }
  return 1;
}

static int l_current(lua_State *L) {
  struct arc_state *state = arc_state_of(L);
  if (!state->current) {
    lua_pushnil(L);
    return 1;
  }
  push_anchors(L, state);
  lua_rawgetp(L, -1, state->current);
  return 1;
}

static int l_on_error(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &arc_state_of(L)->on_error);
  return 0;
}

static void kill_task(struct arc_task *task) {
  struct arc_state *state = task->state;
  struct arc_op *op = task->op;
  arc_ready_cancel(state->loop, &task->ready);
  task->op = NULL;
  if (op) {
    op->notify = NULL;
    arc_op_cancel(op, arc_err_new(ARC_E_CANCELLED, "shutdown"));
  }
  task->status = TASK_FAILED;
  task->cancelled = true;
  state->tasks--;
  lua_resetthread(task->co);
  finish_joins(task);
  unanchor(state->L, task);
}

/* Kills the tasks that are left: their coroutines are closed, which runs what
 * is to be closed in them. That may spawn and end others: each round looks
 * at a copy. */
static int l_shutdown(lua_State *L) {
  struct arc_state *state = arc_state_of(L);
  if (state->current) {
    return luaL_error(L, "shutdown inside a task");
  }
  for (int round = 0; round < SHUTDOWN_ROUNDS && state->tasks; round++) {
    lua_Integer n = 0;
    lua_settop(L, 0);
    lua_newtable(L);
    push_anchors(L, state);
    for (lua_pushnil(L); lua_next(L, 2);) {
      lua_rawseti(L, 1, ++n);
    }
    for (; n; n--) {
      lua_rawgeti(L, 1, n);
      struct arc_task *task = check_task(L, -1);
      if (task->status == TASK_RUNNING) {
        kill_task(task);
      }
      lua_pop(L, 1);
    }
  }
  return 0;
}

void arc_open_task(lua_State *L) {
  static const luaL_Reg methods[] = {{"await", l_task_await},
                                     {"cancel", l_task_cancel},
                                     {"status", l_task_status},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"spawn", l_spawn},
                                       {"current", l_current},
                                       {"on_error", l_on_error},
                                       {"kill_tasks", l_shutdown},
                                       {NULL, NULL}};
  luaL_newmetatable(L, TASK);
  lua_pushcfunction(L, task_gc);
  lua_setfield(L, -2, "__gc");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  arc_newtype(L, OP, NULL, op_gc);
  luaL_setfuncs(L, functions, 0);
}
