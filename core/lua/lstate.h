/* SPDX-License-Identifier: MIT */
#ifndef ARC_LSTATE_H
#define ARC_LSTATE_H

#include <lua.h>
#include <signal.h>
#include <stdbool.h>

#include "loop/loop.h"

#define ARC_SCOPE "arclua.scope"

struct arc_state;
struct join_op;

/* arc.timeout or arc.shield around a function. A userdata on its stack. */
struct arc_scope {
  struct arc_scope *outer;
  struct arc_task *task; /* NULL once left */
  lua_State *co;         /* on whose stack it stands */
  struct arc_timer timer;
  bool shield, expired;
};

enum arc_task_status { TASK_RUNNING, TASK_DONE, TASK_FAILED };

/* A userdata; user value 1 = the coroutine, 2 = its error. Kept in the table
 * of anchors while it runs. */
struct arc_task {
  struct arc_state *state;
  lua_State *co;
  struct arc_op *op;       /* what it waits for; owned by a box on its stack */
  struct arc_scope *scope; /* innermost */
  struct join_op *joins;
  struct arc_ready ready;
  lua_State **levels; /* coroutines that run in each other, co first */
  size_t depth, cap;
  enum arc_task_status status;
  int nargs, nres;
  int refused;
  bool cancelled;
};

/* One a Lua state: what the bindings share. */
struct arc_state {
  lua_State *L; /* the main thread */
  struct arc_loop *loop;
  struct arc_task main;        /* the main thread's scopes and wait */
  struct arc_task *current;    /* NULL = no task runs */
  lua_State *volatile running; /* innermost coroutine that runs */
  volatile sig_atomic_t interrupted;
  int tasks;
  char anchors, on_error; /* their addresses are registry keys */
};

struct arc_state *arc_state_of(lua_State *L);

/* Coroutine co begins to run in the task (false: no memory), is entered, and
 * is left for outer (NULL: the task waits or has ended). */
bool arc_level_push(struct arc_task *task, lua_State *co);
void arc_level_enter(struct arc_state *state, lua_State *co);
void arc_level_leave(struct arc_state *state, lua_State *co, lua_State *outer);

/* The error with which a wait of task ends now, or NULL. */
struct arc_err *arc_task_refusal(const struct arc_task *task);
/* Ends its pending wait when it must not go on. */
void arc_task_recheck(struct arc_task *task);
/* Leaves the scopes on the stack of co, which has failed. */
void arc_scopes_leave(struct arc_task *task, lua_State *co);

void arc_open_nested(lua_State *L);
void arc_open_scope(lua_State *L);

#endif
