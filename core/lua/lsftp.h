/* SPDX-License-Identifier: MIT */
#ifndef ARC_LSFTP_H
#define ARC_LSFTP_H

#include <lua.h>

#include "ssh/sftp.h"

/* What the bindings of SFTP share. */
#define ARC_LSFTP "arclua.sftp"
#define ARC_LMETER "arclua.meter"

/* The open connection at index; raises otherwise. */
struct arc_sftp *arc_checksftp(lua_State *L, int index);
/* A path of the server's at index: no NUL byte, raises otherwise. */
const char *arc_checkremote(lua_State *L, int index);
/* Pushes { type =, mode =, size =, ... }. */
void arc_pushattrs(lua_State *L, const struct arc_sftp_attrs *attrs);
/* Reads { mode =, size =, uid =, gid =, atime =, mtime = } at index. */
void arc_checkattrs(lua_State *L, int index, struct arc_sftp_attrs *attrs);
/* true, or nil and the error. */
int arc_pushdone(lua_State *L, struct arc_op *op);
/* Pushes the file of an open that went well; the connection is at index 1, the
 * path at 2. */
void arc_pushsftpfile(lua_State *L, struct arc_op *op);
struct arc_meter *arc_checkmeter(lua_State *L, int index); /* borrowed */
void arc_open_sftpfile(lua_State *L);

#endif
