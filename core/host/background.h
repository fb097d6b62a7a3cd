/* SPDX-License-Identifier: MIT */
#ifndef ARC_HOST_BACKGROUND_H
#define ARC_HOST_BACKGROUND_H

#include <lua.h>

/* Adds background to the table on top of the stack. */
void arc_open_background(lua_State *L);

#endif
