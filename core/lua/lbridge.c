/* SPDX-License-Identifier: MIT */
#include "emulator/bridge.h"
#include "lua/lcore.h"

enum { BUDGET = 12 * 1024 * 1024 };

static int finish_bridge(lua_State *L, struct arc_op *op) {
  static const char *const who[] = {"sender", "listener"};
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  const struct arc_bridge_report *told = arc_bridge_told(op);
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, (lua_Integer)told->bytes[ARC_BRIDGE_SENDER]);
  lua_setfield(L, -2, "sent");
  lua_pushinteger(L, (lua_Integer)told->bytes[ARC_BRIDGE_LISTENER]);
  lua_setfield(L, -2, "received");
  if (told->first >= 0) {
    lua_pushstring(L, who[told->first]);
    lua_setfield(L, -2, "ended");
  }
  if (told->how) {
    lua_pushstring(L, told->how);
    lua_setfield(L, -2, "how");
    lua_pushinteger(L, told->code);
    lua_setfield(L, -2, "code");
  }
  return 1;
}

/* sender, early, listener, early, rules */
static int l_bridge(lua_State *L) {
  struct {
    lua_Integer budget;
    double idle, patience;
    bool reset;
  } want = {BUDGET, 0, 10, false};
  static const struct arc_opt opts[] = {
      {"budget", ARC_OPT_INTEGER, 0, false, 1, 1 << 30},
      {"idle", ARC_OPT_NUMBER, sizeof(lua_Integer), false, 0, 1e6},
      {"patience", ARC_OPT_NUMBER, sizeof(lua_Integer) + sizeof(double), false,
       0, 1e6},
      {"reset", ARC_OPT_BOOLEAN, sizeof(lua_Integer) + 2 * sizeof(double),
       false, 0, 0},
      {NULL, ARC_OPT_ANY, 0, false, 0, 0}};
  struct arc_bridge_side sides[2] = {0};
  lua_settop(L, 5);
  arc_checkoptions(L, 5, opts, &want);
  arc_checkstream(L, 1);
  sides[ARC_BRIDGE_SENDER].early =
      luaL_checklstring(L, 2, &sides[ARC_BRIDGE_SENDER].n_early);
  arc_checkstream(L, 3);
  sides[ARC_BRIDGE_LISTENER].early =
      luaL_checklstring(L, 4, &sides[ARC_BRIDGE_LISTENER].n_early);
  luaL_argcheck(L, !lua_rawequal(L, 1, 3), 3, "the sender's own stream");
  sides[ARC_BRIDGE_SENDER].stream = arc_takestream(L, 1);
  sides[ARC_BRIDGE_LISTENER].stream = arc_takestream(L, 3);
  struct arc_bridge_rules rules = {
      .budget = (size_t)want.budget,
      .idle = (int64_t)(want.idle * 1000),
      .patience = (int64_t)(want.patience * 1000),
      .reset = want.reset,
  };
  return arc_await(L, arc_bridge(sides, &rules), finish_bridge);
}

void arc_open_bridge(lua_State *L) {
  lua_pushcfunction(L, l_bridge);
  lua_setfield(L, -2, "bridge");
}
