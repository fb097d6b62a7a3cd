/* SPDX-License-Identifier: MIT */
/* SFTP: connections, and what is done by path. */
#include "lua/lsftp.h"

#include <string.h>
#include <sys/stat.h>

#include "lua/lcore.h"

#define LISTED_MOST 1000000
#define DEFAULT_TIMEOUT 30

static int sftp_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, ARC_LSFTP);
  struct arc_sftp *sftp = *box;
  *box = NULL;
  if (sftp) {
    arc_sftp_close(sftp);
  }
  return 0;
}

struct arc_sftp *arc_checksftp(lua_State *L, int index) {
  void **box = luaL_checkudata(L, index, ARC_LSFTP);
  luaL_argcheck(L, *box, index, "the SFTP connection is closed");
  return *box;
}

const char *arc_checkremote(lua_State *L, int index) {
  size_t n;
  const char *path = luaL_checklstring(L, index, &n);
  luaL_argcheck(L, strlen(path) == n, index, "a path cannot hold a NUL byte");
  return path;
}

/* ---- attributes ------------------------------------------------------------
 */

static const char *type_of(const struct arc_sftp_attrs *a) {
  if (!(a->has & ARC_SFTP_HAS_MODE)) {
    return "unknown";
  }
  switch (a->mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFLNK:
    return "link";
  case 0: // servers that keep to permissions
    return "unknown";
  default:
    return "other";
  }
}

static void set_integer(lua_State *L, const char *key, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, key);
}

void arc_pushattrs(lua_State *L, const struct arc_sftp_attrs *a) {
  lua_createtable(L, 0, 8);
  lua_pushstring(L, type_of(a));
  lua_setfield(L, -2, "type");
  if (a->has & ARC_SFTP_HAS_SIZE) {
    set_integer(L, "size", a->size);
  }
  if (a->has & ARC_SFTP_HAS_OWNER) {
    set_integer(L, "uid", a->uid);
    set_integer(L, "gid", a->gid);
  }
  if (a->has & ARC_SFTP_HAS_MODE) {
    set_integer(L, "mode", a->mode & 07777);
  }
  if (a->has & ARC_SFTP_HAS_TIMES) {
    set_integer(L, "atime", a->atime);
    set_integer(L, "mtime", a->mtime);
  }
}

struct wanted {
  lua_Integer mode, size, uid, gid, atime, mtime;
};

static const struct arc_opt ATTRS[] = {
    {"mode", ARC_OPT_INTEGER, offsetof(struct wanted, mode), false, 0, 07777},
    {"size", ARC_OPT_INTEGER, offsetof(struct wanted, size), false, 0, 1e18},
    {"uid", ARC_OPT_INTEGER, offsetof(struct wanted, uid), false, 0,
     UINT32_MAX},
    {"gid", ARC_OPT_INTEGER, offsetof(struct wanted, gid), false, 0,
     UINT32_MAX},
    {"atime", ARC_OPT_INTEGER, offsetof(struct wanted, atime), false, 0,
     UINT32_MAX},
    {"mtime", ARC_OPT_INTEGER, offsetof(struct wanted, mtime), false, 0,
     UINT32_MAX},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

void arc_checkattrs(lua_State *L, int index, struct arc_sftp_attrs *a) {
  struct wanted w = {-1, -1, -1, -1, -1, -1};
  arc_checkoptions(L, index, ATTRS, &w);
  memset(a, 0, sizeof *a);
  luaL_argcheck(L, (w.uid < 0) == (w.gid < 0), index,
                "uid and gid go together");
  a->has = (w.size >= 0 ? ARC_SFTP_HAS_SIZE : 0U) |
           (w.uid >= 0 ? ARC_SFTP_HAS_OWNER : 0U) |
           (w.mode >= 0 ? ARC_SFTP_HAS_MODE : 0U) |
           (w.atime >= 0 || w.mtime >= 0 ? ARC_SFTP_HAS_TIMES : 0U);
  a->size = (uint64_t)w.size;
  a->uid = (uint32_t)w.uid;
  a->gid = (uint32_t)w.gid;
  a->mode = (uint32_t)w.mode;
  a->atime = (uint32_t)(w.atime < 0 ? w.mtime : w.atime);
  a->mtime = (uint32_t)(w.mtime < 0 ? w.atime : w.mtime);
}

/* ---- single requests -------------------------------------------------------
 */

int arc_pushdone(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int got_attrs(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushattrs(L, &arc_sftp_answer(op)->attrs);
  return 1;
}

static int got_name(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  const struct arc_sftp_answer *answer = arc_sftp_answer(op);
  lua_pushlstring(L, answer->name, answer->n);
  return 1;
}

static int call(lua_State *L, enum arc_sftp_kind kind,
                const struct arc_sftp_args *args, arc_finish *finish) {
  return arc_await(L, arc_sftp_call(arc_checksftp(L, 1), kind, args), finish);
}

static int by_path(lua_State *L, enum arc_sftp_kind kind, arc_finish *finish) {
  const struct arc_sftp_args args = {.path = arc_checkremote(L, 2)};
  return call(L, kind, &args, finish);
}

static int l_stat(lua_State *L) {
  return by_path(L, ARC_SFTP_OP_STAT, got_attrs);
}

static int l_lstat(lua_State *L) {
  return by_path(L, ARC_SFTP_OP_LSTAT, got_attrs);
}

static int l_remove(lua_State *L) {
  return by_path(L, ARC_SFTP_OP_REMOVE, arc_pushdone);
}

static int l_rmdir(lua_State *L) {
  return by_path(L, ARC_SFTP_OP_RMDIR, arc_pushdone);
}

static int l_realpath(lua_State *L) {
  return by_path(L, ARC_SFTP_OP_REALPATH, got_name);
}

static int l_readlink(lua_State *L) {
  return by_path(L, ARC_SFTP_OP_READLINK, got_name);
}

static int l_setstat(lua_State *L) {
  struct arc_sftp_args args = {.path = arc_checkremote(L, 2)};
  luaL_checktype(L, 3, LUA_TTABLE);
  arc_checkattrs(L, 3, &args.attrs);
  return call(L, ARC_SFTP_OP_SETSTAT, &args, arc_pushdone);
}

static uint32_t opt_mode(lua_State *L, int index, lua_Integer otherwise) {
  lua_Integer mode = luaL_optinteger(L, index, otherwise);
  luaL_argcheck(L, mode >= 0 && mode <= 07777, index, "not a file mode");
  return (uint32_t)mode;
}

static int l_chmod(lua_State *L) {
  luaL_checkinteger(L, 3);
  const struct arc_sftp_args args = {
      .path = arc_checkremote(L, 2),
      .attrs = {.has = ARC_SFTP_HAS_MODE, .mode = opt_mode(L, 3, 0)}};
  return call(L, ARC_SFTP_OP_SETSTAT, &args, arc_pushdone);
}

static int l_mkdir(lua_State *L) {
  const struct arc_sftp_args args = {
      .path = arc_checkremote(L, 2),
      .attrs = {.has = ARC_SFTP_HAS_MODE, .mode = opt_mode(L, 3, 0777)}};
  return call(L, ARC_SFTP_OP_MKDIR, &args, arc_pushdone);
}

/* Replaces the new name where the server knows how to. */
static int l_rename(lua_State *L) {
  const struct arc_sftp_args args = {.path = arc_checkremote(L, 2),
                                     .path2 = arc_checkremote(L, 3)};
  bool posix = arc_sftp_has(arc_checksftp(L, 1), ARC_SFTP_POSIX_RENAME);
  return call(L, posix ? ARC_SFTP_OP_POSIX_RENAME : ARC_SFTP_OP_RENAME, &args,
              arc_pushdone);
}

static int l_symlink(lua_State *L) {
  const struct arc_sftp_args args = {.path2 = arc_checkremote(L, 2),
                                     .path = arc_checkremote(L, 3)};
  return call(L, ARC_SFTP_OP_SYMLINK, &args, arc_pushdone);
}

static int missing(lua_State *L, enum arc_sftp_extension which) {
  return arc_pushfailnew(L, arc_err_reason("sftp.unsupported",
                                           "the SFTP server has no %s",
                                           arc_sftp_extension_name(which)));
}

static int got_vfs(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  const struct arc_sftp_vfs *vfs = &arc_sftp_answer(op)->vfs;
  lua_createtable(L, 0, 9);
  set_integer(L, "block_size", vfs->block_size);
  set_integer(L, "fragment_size", vfs->fragment_size);
  set_integer(L, "blocks", vfs->blocks);
  set_integer(L, "blocks_free", vfs->blocks_free);
  set_integer(L, "blocks_available", vfs->blocks_available);
  set_integer(L, "files", vfs->files);
  set_integer(L, "files_free", vfs->files_free);
  set_integer(L, "name_max", vfs->name_max);
  lua_pushboolean(L, vfs->flags & 1);
  lua_setfield(L, -2, "read_only");
  return 1;
}

static int l_statvfs(lua_State *L) {
  if (!arc_sftp_has(arc_checksftp(L, 1), ARC_SFTP_STATVFS)) {
    return missing(L, ARC_SFTP_STATVFS);
  }
  return by_path(L, ARC_SFTP_OP_STATVFS, got_vfs);
}

/* ---- lists ------------------------------------------------------------------
 */

static int listed(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  struct arc_cursor at = {0};
  struct arc_sftp_name name;
  lua_createtable(L, (int)arc_sftp_list_count(op), 0);
  for (lua_Integer i = 1; arc_sftp_list_next(op, &at, &name); i++) {
    name.attrs.has &= ~(uint32_t)ARC_SFTP_HAS_OWNER; // lists are long
    arc_pushattrs(L, &name.attrs);
    lua_pushlstring(L, (const char *)name.name, name.n);
    lua_setfield(L, -2, "name");
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static int l_list(lua_State *L) {
  struct arc_sftp *sftp = arc_checksftp(L, 1);
  const char *path = arc_checkremote(L, 2);
  lua_Integer most = luaL_optinteger(L, 3, LISTED_MOST);
  luaL_argcheck(L, most > 0, 3, "a number above 0 expected");
  return arc_await(L, arc_sftp_list(sftp, path, (uint64_t)most), listed);
}

/* ---- opening files ----------------------------------------------------------
 */

static int opened(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushsftpfile(L, op);
  return 1;
}

/* As fopen's, and "x": it must not be there yet. */
static uint32_t check_flags(lua_State *L, int index) {
  static const struct {
    const char *mode;
    uint32_t flags;
  } modes[] = {
      {"r", ARC_SFTP_READ},
      {"r+", ARC_SFTP_READ | ARC_SFTP_WRITE},
      {"w", ARC_SFTP_WRITE | ARC_SFTP_CREAT | ARC_SFTP_TRUNC},
      {"w+", ARC_SFTP_READ | ARC_SFTP_WRITE | ARC_SFTP_CREAT | ARC_SFTP_TRUNC},
      {"wx", ARC_SFTP_WRITE | ARC_SFTP_CREAT | ARC_SFTP_EXCL},
      {"c", ARC_SFTP_WRITE | ARC_SFTP_CREAT}};
  const char *mode = luaL_optstring(L, index, "r");
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (!strcmp(modes[i].mode, mode)) {
      return modes[i].flags;
    }
  }
  luaL_argerror(L, index, "one of r, r+, w, w+, wx, c expected");
  return 0;
}

static int l_open(lua_State *L) {
  struct arc_sftp_args args = {.path = arc_checkremote(L, 2),
                               .flags = check_flags(L, 3)};
  if (!lua_isnoneornil(L, 4)) {
    args.attrs.has = ARC_SFTP_HAS_MODE;
    args.attrs.mode = opt_mode(L, 4, 0);
  }
  return call(L, ARC_SFTP_OP_OPEN, &args, opened);
}

/* ---- connections ------------------------------------------------------------
 */

static int l_has(lua_State *L) {
  const struct arc_sftp *sftp = arc_checksftp(L, 1);
  const char *name = luaL_checkstring(L, 2);
  for (int i = 0; i < ARC_SFTP_EXTENSIONS; i++) {
    if (!strcmp(arc_sftp_extension_name((enum arc_sftp_extension)i), name)) {
      lua_pushboolean(L, arc_sftp_has(sftp, (enum arc_sftp_extension)i));
      return 1;
    }
  }
  return luaL_argerror(L, 2, "unknown extension");
}

static int connected(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  void **box = arc_newbox(L, ARC_LSFTP);
  *box = arc_sftp_take(op);
  return 1;
}

static int l_connect(lua_State *L) {
  static const struct arc_opt options[] = {
      {"timeout", ARC_OPT_NUMBER, 0, false, 0, 1e9},
      {NULL, ARC_OPT_ANY, 0, false, 0, 0}};
  double timeout = DEFAULT_TIMEOUT;
  arc_checkstream(L, 1);
  arc_checkoptions(L, 2, options, &timeout);
  return arc_await(L, arc_sftp_connect(arc_takestream(L, 1), timeout),
                   connected);
}

static int meter_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, ARC_LMETER);
  struct arc_meter *meter = *box;
  *box = NULL;
  arc_meter_unref(meter);
  return 0;
}

struct arc_meter *arc_checkmeter(lua_State *L, int index) {
  void **box = luaL_checkudata(L, index, ARC_LMETER);
  luaL_argcheck(L, *box, index, "the meter is closed");
  return *box;
}

static int l_meter(lua_State *L) {
  struct arc_meter *parent =
      lua_isnoneornil(L, 1) ? NULL : arc_checkmeter(L, 1);
  lua_Number rate = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, rate >= 0, 2, "bytes a second expected");
  void **box = arc_newbox(L, ARC_LMETER);
  *box = arc_meter_new(parent, rate);
  return *box ? 1 : luaL_error(L, "out of memory");
}

static int l_moved(lua_State *L) {
  lua_pushinteger(L, arc_meter_moved(arc_checkmeter(L, 1)));
  return 1;
}

static int l_add(lua_State *L) {
  arc_meter_count(arc_checkmeter(L, 1), luaL_checkinteger(L, 2));
  return 0;
}

void arc_open_sftp(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"open", l_open},         {"stat", l_stat},
      {"lstat", l_lstat},       {"setstat", l_setstat},
      {"chmod", l_chmod},       {"mkdir", l_mkdir},
      {"rmdir", l_rmdir},       {"remove", l_remove},
      {"rename", l_rename},     {"symlink", l_symlink},
      {"readlink", l_readlink}, {"list", l_list},
      {"realpath", l_realpath}, {"statvfs", l_statvfs},
      {"has", l_has},           {NULL, NULL}};
  static const luaL_Reg meter[] = {
      {"moved", l_moved}, {"add", l_add}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"connect", l_connect}, {"meter", l_meter}, {NULL, NULL}};
  arc_newtype(L, ARC_LSFTP, methods, sftp_gc);
  arc_newtype(L, ARC_LMETER, meter, meter_gc);
  arc_open_sftpfile(L);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "sftp");
}
