/* SPDX-License-Identifier: MIT */
#ifndef ARC_LLOCAL_H
#define ARC_LLOCAL_H

#include <lua.h>

/* The descriptor and the name of the open local file at index; raises
 * otherwise. Both are the file's. */
int arc_checklocal(lua_State *L, int index, const char **name);

#endif
