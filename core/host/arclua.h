/* SPDX-License-Identifier: MIT */
#ifndef ARCLUA_H
#define ARCLUA_H

/* The embedding API: a program with its own Lua 5.4 state loads the module by
 * luaL_requiref(L, "arclua.core", luaopen_arclua_core, 0) and finds the Lua
 * files through package.path. A wait on the main thread turns the event loop
 * until it is done; arclua changes no signal disposition and never exits. */
#include <lua.h>

#ifdef __cplusplus
extern "C" {
#endif

int luaopen_arclua_core(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
