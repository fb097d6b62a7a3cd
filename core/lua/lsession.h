/* SPDX-License-Identifier: MIT */
#ifndef ARC_LSESSION_H
#define ARC_LSESSION_H

#include <lua.h>

#include "ssh/session.h"

/* What the bindings of sessions share. */
#define ARC_LSESSION "arclua.session"

/* The open session at index 1; raises otherwise. */
struct arc_session *arc_checksession(lua_State *L);
/* The function ssh.connect, and the type behind it. */
int arc_session_lconnect(lua_State *L);
void arc_open_connect(lua_State *L);
/* The method session:exec, and the type behind it. */
int arc_session_lexec(lua_State *L);
/* The method session:direct_tcpip. */
int arc_session_ltcpip(lua_State *L);
/* The method session:subsystem. */
int arc_session_lsubsystem(lua_State *L);
void arc_open_exec(lua_State *L);

#endif
