/* SPDX-License-Identifier: MIT */
#ifndef ARC_LAZURE_H
#define ARC_LAZURE_H

#include <lua.h>

#include "azure/relayinfo.h"

/* Relay credentials as userdata "arclua.relayinfo": check borrows, push takes
 * a reference over (and leaves it to the caller when it raises). */
struct arc_relayinfo *arc_checkrelayinfo(lua_State *L, int index);
void arc_pushrelayinfo(lua_State *L, struct arc_relayinfo *info);

/* Parts of arc_open_azure. */
void arc_opentoken(lua_State *L);
void arc_openstore(lua_State *L);
void arc_openrelaycache(lua_State *L);
void arc_openkeyring(lua_State *L);
void arc_openmsal(lua_State *L);
void arc_openarm(lua_State *L);

#endif
