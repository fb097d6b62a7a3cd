/* SPDX-License-Identifier: MIT */
#ifndef ARC_LCLIENTCERT_H
#define ARC_LCLIENTCERT_H

#include <lua.h>

/* Adds its functions to the table on top of the stack (core.crypto). */
void arc_add_clientcert(lua_State *L);

#endif
