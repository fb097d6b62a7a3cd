/* SPDX-License-Identifier: MIT */
/* A condition that tasks wait for: c:wait(), c:signal(), c:broadcast(). */
#include "lua/lcore.h"

#define COND "arclua.cond"

struct waiter {
  struct arc_op op;
  struct cond *cond;
  struct waiter *next;
};

struct cond {
  struct waiter *first;
};

static struct cond *check_cond(lua_State *L) {
  return luaL_checkudata(L, 1, COND);
}

static void leave(struct arc_op *op) {
  struct waiter *waiter = (struct waiter *)op;
  if (!waiter->cond) {
    return;
  }
  struct waiter **at = &waiter->cond->first;
  while (*at != waiter) {
    at = &(*at)->next;
  }
  *at = waiter->next;
  waiter->cond = NULL;
}

static int woken(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int l_wait(lua_State *L) {
  static const struct arc_op_class cls = {.name = "cond.wait", .detach = leave};
  struct cond *cond = check_cond(L);
  struct waiter *waiter =
      arc_op_new(arc_getloop(L), &cls, sizeof *waiter, ARC_FOREVER);
  if (waiter) {
    struct waiter **at = &cond->first;
    while (*at) {
      at = &(*at)->next;
    }
    *at = waiter;
    waiter->cond = cond;
  }
  return arc_await(L, waiter ? &waiter->op : NULL, woken);
}

static void wake_first(struct cond *cond) {
  struct waiter *waiter = cond->first;
  cond->first = waiter->next;
  waiter->cond = NULL;
  arc_op_finish(&waiter->op, NULL);
}

static int l_signal(lua_State *L) {
  struct cond *cond = check_cond(L);
  if (cond->first) {
    wake_first(cond);
  }
  return 0;
}

static int l_broadcast(lua_State *L) {
  struct cond *cond = check_cond(L);
  while (cond->first) {
    wake_first(cond);
  }
  return 0;
}

static int cond_gc(lua_State *L) {
  struct cond *cond = check_cond(L);
  while (cond->first) {
    arc_op_cancel(&cond->first->op,
                  arc_err_new(ARC_E_CLOSED, "the condition was closed"));
  }
  return 0;
}

static int l_cond(lua_State *L) {
  struct cond *cond = lua_newuserdatauv(L, sizeof *cond, 0);
  cond->first = NULL;
  luaL_setmetatable(L, COND);
  return 1;
}

void arc_open_cond(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", l_wait},
                                     {"signal", l_signal},
                                     {"broadcast", l_broadcast},
                                     {NULL, NULL}};
  arc_newtype(L, COND, methods, cond_gc);
  lua_pushcfunction(L, l_cond);
  lua_setfield(L, -2, "cond");
}
