/* SPDX-License-Identifier: MIT */
#ifndef ARC_LAZURE_H
#define ARC_LAZURE_H

#include <lua.h>

#include "azure/relayinfo.h"

/* Relay credentials as userdata "arclua.relayinfo". */
struct arc_relayinfo *arc_checkrelayinfo(lua_State *L, int index); /* borrowed */

#endif
