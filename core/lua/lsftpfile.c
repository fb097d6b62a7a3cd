/* SPDX-License-Identifier: MIT */
/* Open files of an SFTP server. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lua/lcore.h"
#include "lua/llocal.h"
#include "lua/lsftp.h"

#define SFTP_FILE "arclua.sftpfile"
#define READ_DEFAULT (64 * 1024)
#define READ_MOST (64 * 1024 * 1024)

/* The userdata; user value 1 is the connection. */
struct file {
  struct arc_sftp_handle handle; /* n = 0: closed */
  lua_Integer position;
  char path[512];
};

static struct file *check_file(lua_State *L, int index) {
  struct file *file = luaL_checkudata(L, index, SFTP_FILE);
  luaL_argcheck(L, file->handle.n, index, "the file is closed");
  return file;
}

/* The file's connection, NULL when it is closed. */
static struct arc_sftp *connection(lua_State *L, int index) {
  lua_getiuservalue(L, index, 1);
  void **box = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return box ? *box : NULL;
}

static struct arc_sftp *check_connection(lua_State *L) {
  struct arc_sftp *sftp = connection(L, 1);
  luaL_argcheck(L, sftp, 1, "the SFTP connection is closed");
  return sftp;
}

static int file_gc(lua_State *L) {
  struct file *file = luaL_checkudata(L, 1, SFTP_FILE);
  struct arc_sftp *sftp = file->handle.n ? connection(L, 1) : NULL;
  if (sftp) {
    arc_sftp_forget(sftp, &file->handle);
  }
  file->handle.n = 0;
  return 0;
}

void arc_pushsftpfile(lua_State *L, struct arc_op *op) {
  struct file *file = lua_newuserdatauv(L, sizeof *file, 1);
  memset(file, 0, sizeof *file);
  luaL_setmetatable(L, SFTP_FILE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  arc_sftp_show(file->path, sizeof file->path, lua_tostring(L, 2));
  arc_sftp_take_handle(op, &file->handle);
}

/* ---- requests --------------------------------------------------------------
 */

static int got_attrs(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushattrs(L, &arc_sftp_answer(op)->attrs);
  return 1;
}

static int call(lua_State *L, enum arc_sftp_kind kind,
                struct arc_sftp_args *args, arc_finish *finish) {
  const struct file *file = check_file(L, 1);
  args->handle = &file->handle;
  args->path = file->path;
  return arc_await(L, arc_sftp_call(check_connection(L), kind, args), finish);
}

static int l_stat(lua_State *L) {
  struct arc_sftp_args args = {0};
  return call(L, ARC_SFTP_OP_FSTAT, &args, got_attrs);
}

static int l_setstat(lua_State *L) {
  struct arc_sftp_args args = {0};
  luaL_checktype(L, 2, LUA_TTABLE);
  arc_checkattrs(L, 2, &args.attrs);
  return call(L, ARC_SFTP_OP_FSETSTAT, &args, arc_pushdone);
}

/* Without the extension there is nothing to ask for: false. */
static int l_sync(lua_State *L) {
  struct arc_sftp_args args = {0};
  check_file(L, 1);
  if (!arc_sftp_has(check_connection(L), ARC_SFTP_FSYNC)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  return call(L, ARC_SFTP_OP_FSYNC, &args, arc_pushdone);
}

/* The handle is the server's no more, whatever it answers. */
static int l_close(lua_State *L) {
  struct file *file = check_file(L, 1);
  struct arc_sftp_args args = {.handle = &file->handle, .path = file->path};
  struct arc_op *op =
      arc_sftp_call(check_connection(L), ARC_SFTP_OP_CLOSE, &args);
  file->handle.n = 0;
  return arc_await(L, op, arc_pushdone);
}

/* Bytes of this file to another of the server's, without passing here. */
static int l_copy_to(lua_State *L) {
  const struct file *to = check_file(L, 2);
  struct arc_sftp_args args = {.handle2 = &to->handle};
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  lua_Integer length = luaL_optinteger(L, 4, 0);
  lua_Integer target = luaL_optinteger(L, 5, offset);
  luaL_argcheck(L, offset >= 0, 3, "an offset expected");
  luaL_argcheck(L, length >= 0, 4, "a length expected, or 0 for all");
  luaL_argcheck(L, target >= 0, 5, "an offset expected");
  check_file(L, 1);
  if (!arc_sftp_has(check_connection(L), ARC_SFTP_COPY_DATA)) {
    return arc_pushfailnew(
        L, arc_err_reason("sftp.unsupported", "the SFTP server has no %s",
                          arc_sftp_extension_name(ARC_SFTP_COPY_DATA)));
  }
  args.offset = (uint64_t)offset;
  args.length = (uint64_t)length;
  args.offset2 = (uint64_t)target;
  return call(L, ARC_SFTP_OP_COPY_DATA, &args, arc_pushdone);
}

/* ---- data ------------------------------------------------------------------
 */

/* A string, or nil at the end of the file. */
static int got_text(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  size_t n = arc_sftp_moved(op);
  struct file *file = luaL_checkudata(L, 1, SFTP_FILE);
  if (!n) {
    lua_pushnil(L);
    return 1;
  }
  file->position += (lua_Integer)n;
  lua_pushlstring(L, lua_touserdata(L, 3), n);
  return 1;
}

static int l_read(lua_State *L) {
  const struct file *file = check_file(L, 1);
  lua_Integer n = luaL_optinteger(L, 2, READ_DEFAULT);
  luaL_argcheck(L, n > 0 && n <= READ_MOST, 2,
                "a number of bytes from 1 to 64 MiB expected");
  lua_settop(L, 2);
  const struct arc_sftp_transfer what = {.handle = &file->handle,
                                         .remote = file->path,
                                         .fd = -1,
                                         .into =
                                             lua_newuserdatauv(L, (size_t)n, 0),
                                         .offset = (uint64_t)file->position,
                                         .length = n};
  return arc_await(L, arc_sftp_receive(check_connection(L), &what), got_text);
}

static int wrote(lua_State *L, struct arc_op *op) {
  struct file *file = luaL_checkudata(L, 1, SFTP_FILE);
  file->position += (lua_Integer)arc_sftp_moved(op);
  return arc_pushdone(L, op);
}

static int l_write(lua_State *L) {
  const struct file *file = check_file(L, 1);
  size_t n;
  const char *text = luaL_checklstring(L, 2, &n);
  const struct arc_sftp_transfer what = {.handle = &file->handle,
                                         .remote = file->path,
                                         .fd = -1,
                                         .from = text,
                                         .offset = (uint64_t)file->position,
                                         .length = (int64_t)n};
  return arc_await(L, arc_sftp_send(check_connection(L), &what), wrote);
}

static int l_seek(lua_State *L) {
  struct file *file = check_file(L, 1);
  lua_Integer to = luaL_optinteger(L, 2, file->position);
  luaL_argcheck(L, to >= 0, 2, "an offset expected");
  file->position = to;
  lua_pushinteger(L, to);
  return 1;
}

/* ---- transfers -------------------------------------------------------------
 */

static int moved(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushinteger(L, (lua_Integer)arc_sftp_moved(op));
  return 1;
}

struct wanted {
  lua_Integer offset, length, size;
};

/* file, local file, options */
static int transfer(lua_State *L,
                    struct arc_op *start(struct arc_sftp *,
                                         const struct arc_sftp_transfer *)) {
  static const struct arc_opt options[] = {
      {"offset", ARC_OPT_INTEGER, offsetof(struct wanted, offset), false, 0,
       1e18},
      {"length", ARC_OPT_INTEGER, offsetof(struct wanted, length), false, 0,
       1e18},
      {"size", ARC_OPT_INTEGER, offsetof(struct wanted, size), false, 0, 1e18},
      {"meter", ARC_OPT_ANY, 0, false, 0, 0},
      {NULL, ARC_OPT_ANY, 0, false, 0, 0}};
  const struct file *file = check_file(L, 1);
  struct wanted w = {0, ARC_SFTP_TO_END, 0};
  struct arc_sftp_transfer what = {.handle = &file->handle,
                                   .remote = file->path};
  lua_settop(L, 3);
  arc_checkoptions(L, 3, options, &w);
  if (lua_istable(L, 3) && lua_getfield(L, 3, "meter") != LUA_TNIL) {
    what.meter = arc_checkmeter(L, -1);
  }
  what.fd = arc_checklocal(L, 2, &what.local);
  what.offset = (uint64_t)w.offset;
  what.length = w.length;
  what.size = (uint64_t)w.size;
  return arc_await(L, start(check_connection(L), &what), moved);
}

static int l_send(lua_State *L) { return transfer(L, arc_sftp_send); }

static int l_receive(lua_State *L) { return transfer(L, arc_sftp_receive); }

void arc_open_sftpfile(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"read", l_read}, {"write", l_write},     {"seek", l_seek},
      {"stat", l_stat}, {"setstat", l_setstat}, {"sync", l_sync},
      {"send", l_send}, {"receive", l_receive}, {"copy_to", l_copy_to},
      {NULL, NULL}};
  arc_newtype(L, SFTP_FILE, methods, file_gc);
  luaL_getmetatable(L, SFTP_FILE);
  lua_getfield(L, -1, "__index");
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "close");
  lua_pop(L, 2);
}
