/* SPDX-License-Identifier: MIT */
#ifndef ARC_LSESSION_H
#define ARC_LSESSION_H

#include <lua.h>

#include "ssh/exec.h"
#include "ssh/session.h"

/* What the bindings of sessions share. */
#define ARC_LSESSION "arclua.session"

/* The open session at index 1; raises otherwise. */
struct arc_session *arc_checksession(lua_State *L);
/* The function ssh.connect, and the type behind it. */
int arc_session_lconnect(lua_State *L);
void arc_open_connect(lua_State *L);
/* The function ssh.probe. */
int arc_session_lprobe(lua_State *L);
/* The method session:exec, and the type behind it. */
int arc_session_lexec(lua_State *L);
/* The methods direct_tcpip, direct_streamlocal, listen and wait, and the type
 * of what listen gives. */
int arc_session_ltcpip(lua_State *L);
int arc_session_lstreamlocal(lua_State *L);
int arc_session_llisten(lua_State *L);
int arc_session_lwait(lua_State *L);
void arc_open_forward(lua_State *L);
/* The method session:subsystem. */
int arc_session_lsubsystem(lua_State *L);
void arc_open_exec(lua_State *L);
/* Pushes name, value, name, value ... of the table in field "env" of the
 * options at index; NULL (nil is pushed) when there is none. */
const char *const *arc_push_env(lua_State *L, int index);
/* How an execution ended, as fields of the table on top of the stack. */
void arc_setresult(lua_State *L, const struct arc_exec_result *result);
/* The method session:shell, and the type behind it. */
int arc_session_lshell(lua_State *L);
void arc_open_shell(lua_State *L);

#endif
