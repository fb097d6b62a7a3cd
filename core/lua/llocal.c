/* SPDX-License-Identifier: MIT */
/* Local directories and files of a transfer. */
#include "lua/llocal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "loop/work.h"
#include "lua/lcore.h"
#include "ssh/sftp_wire.h"
#include "util/root.h"

#define ROOT "arclua.local"
#define LOCAL_FILE "arclua.localfile"

/* The userdata of a file. */
struct file {
  int fd; /* -1 = closed */
  char name[512];
};

/* ---- results ---------------------------------------------------------------
 */

static struct arc_err *error_of(int number, const char *verb,
                                const char *path) {
  char shown[512];
  arc_sftp_show(shown, sizeof shown, *path ? path : ".");
  if (number == ELOOP) {
    return arc_err_reason("copy.through-link",
                          "%s %s: a symbolic link is in the way", verb, shown);
  }
  if (number == EINVAL) {
    return arc_err_reason("copy.bad-name", "%s '%s': no name for a file here",
                          verb, shown);
  }
  if (number == ENOSPC || number == EDQUOT) {
    return arc_err_reason("io.no-space", "%s %s: %s", verb, shown,
                          strerror(number));
  }
  return arc_err_errno(number, "%s %s", verb, shown);
}

static int result(lua_State *L, int number, const char *verb,
                  const char *path) {
  if (number) {
    return arc_pushfailnew(L, error_of(number, verb, path));
  }
  lua_pushboolean(L, 1);
  return 1;
}

static const char *type_of(mode_t mode) {
  return S_ISREG(mode)   ? "file"
         : S_ISDIR(mode) ? "directory"
         : S_ISLNK(mode) ? "link"
                         : "other";
}

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

/* Lists are long: 8 members are half as large as 9. */
static void push_stat(lua_State *L, const struct stat *st) {
  lua_createtable(L, 0, 6);
  lua_pushstring(L, type_of(st->st_mode));
  lua_setfield(L, -2, "type");
  set_integer(L, "size", (lua_Integer)st->st_size);
  set_integer(L, "mode", st->st_mode & 07777);
  set_integer(L, "atime", (lua_Integer)st->st_atime);
  set_integer(L, "mtime", (lua_Integer)st->st_mtime);
}

/* ---- directories -----------------------------------------------------------
 */

static int root_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, ROOT);
  struct arc_root *root = *box;
  *box = NULL;
  arc_root_close(root);
  return 0;
}

static struct arc_root *check_root(lua_State *L) {
  void **box = luaL_checkudata(L, 1, ROOT);
  luaL_argcheck(L, *box, 1, "the directory is closed");
  return *box;
}

static const char *check_path(lua_State *L, int index) {
  size_t n;
  const char *path = luaL_checklstring(L, index, &n);
  luaL_argcheck(L, strlen(path) == n, index, "a path cannot hold a NUL byte");
  return path;
}

static mode_t opt_mode(lua_State *L, int index, lua_Integer otherwise) {
  lua_Integer mode = luaL_optinteger(L, index, otherwise);
  luaL_argcheck(L, mode >= 0 && mode <= 07777, index, "not a file mode");
  return (mode_t)mode;
}

static int l_local(lua_State *L) {
  const char *path = check_path(L, 1);
  bool follow = lua_toboolean(L, 2);
  void **box = arc_newbox(L, ROOT);
  struct arc_root *root = NULL;
  int error = arc_root_open(path, follow, &root);
  *box = root;
  return error ? result(L, error, "open directory", path) : 1;
}

static int stat_of(lua_State *L, bool follow) {
  struct stat st;
  const char *path = check_path(L, 2);
  int error = arc_root_stat(check_root(L), path, follow, &st);
  if (error) {
    return result(L, error, "look at", path);
  }
  push_stat(L, &st);
  return 1;
}

static int l_stat(lua_State *L) { return stat_of(L, true); }

static int l_lstat(lua_State *L) { return stat_of(L, false); }

/* How an operation on the last part of a path is done: 0 or an errno. */
static int done(int rc) { return rc ? errno : 0; }

static int l_mkdir(lua_State *L) {
  int dir;
  const char *name, *path = check_path(L, 2);
  mode_t mode = opt_mode(L, 3, 0777);
  int error = arc_root_find(check_root(L), path, &dir, &name);
  return result(L, error ? error : done(mkdirat(dir, name, mode)),
                "make directory", path);
}

static int remove_as(lua_State *L, int flags, const char *verb) {
  int dir;
  const char *name, *path = check_path(L, 2);
  int error = arc_root_find(check_root(L), path, &dir, &name);
  return result(L, error ? error : done(unlinkat(dir, name, flags)), verb,
                path);
}

static int l_remove(lua_State *L) { return remove_as(L, 0, "remove"); }

static int l_rmdir(lua_State *L) {
  return remove_as(L, AT_REMOVEDIR, "remove directory");
}

static int l_rename(lua_State *L) {
  const char *from = check_path(L, 2);
  const char *to = check_path(L, 3);
  int error = arc_root_rename(check_root(L), from, to);
  return result(L, error, "rename to", to);
}

static int l_symlink(lua_State *L) {
  int dir;
  const char *name, *leads = check_path(L, 2), *path = check_path(L, 3);
  int error = arc_root_find(check_root(L), path, &dir, &name);
  return result(L, error ? error : done(symlinkat(leads, dir, name)),
                "make link", path);
}

static int l_readlink(lua_State *L) {
  int dir;
  const char *name, *path = check_path(L, 2);
  char leads[PATH_MAX];
  int error = arc_root_find(check_root(L), path, &dir, &name);
  ssize_t n = error ? -1 : readlinkat(dir, name, leads, sizeof leads);
  if (n < 0) {
    return result(L, error ? error : errno, "read link", path);
  }
  lua_pushlstring(L, leads, (size_t)n);
  return 1;
}

/* The absolute path without links; the root's way there may have some. */
static int l_realpath(lua_State *L) {
  const char *path = check_path(L, 2);
  char proc[32], real[PATH_MAX];
  int fd = -1;
  int error = arc_root_file(check_root(L), path, O_PATH, 0, &fd);
  if (error) {
    return result(L, error, "resolve", path);
  }
  snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(proc, real, sizeof real);
  error = n < 0 ? errno : 0;
  close(fd);
  if (error) {
    return result(L, error, "resolve", path);
  }
  lua_pushlstring(L, real, (size_t)n);
  return 1;
}

struct wanted {
  lua_Integer mode, atime, mtime;
};

static const struct arc_opt ATTRS[] = {
    {"mode", ARC_OPT_INTEGER, offsetof(struct wanted, mode), false, 0, 07777},
    {"atime", ARC_OPT_INTEGER, offsetof(struct wanted, atime), false, 0, 1e12},
    {"mtime", ARC_OPT_INTEGER, offsetof(struct wanted, mtime), false, 0, 1e12},
    {NULL, ARC_OPT_ANY, 0, false, 0, 0}};

static void times_of(const struct wanted *w, struct timespec times[2]) {
  times[0] = (struct timespec){w->atime, w->atime < 0 ? UTIME_OMIT : 0};
  times[1] = (struct timespec){w->mtime, w->mtime < 0 ? UTIME_OMIT : 0};
}

/* { mode =, atime =, mtime = } of a path; never of what a link leads to. */
static int l_setstat(lua_State *L) {
  struct wanted w = {-1, -1, -1};
  struct timespec times[2];
  int dir;
  const char *name, *path = check_path(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  arc_checkoptions(L, 3, ATTRS, &w);
  times_of(&w, times);
  int error = arc_root_find(check_root(L), path, &dir, &name);
  if (!error && w.mode >= 0) {
    error = done(fchmodat(dir, name, (mode_t)w.mode, 0));
  }
  if (!error && (w.atime >= 0 || w.mtime >= 0)) {
    error = done(utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW));
  }
  return result(L, error, "set attributes of", path);
}

/* Entries as sftp:list gives them. dir is closed by a box. */
static void push_entries(lua_State *L, DIR *dir) {
  struct dirent *entry;
  lua_newtable(L);
  for (lua_Integer i = 1; (entry = readdir(dir));) {
    struct stat st;
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
        fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW)) {
      continue; // gone meanwhile
    }
    push_stat(L, &st);
    lua_pushstring(L, entry->d_name);
    lua_setfield(L, -2, "name");
    lua_rawseti(L, -2, i++);
  }
}

#define LISTING "arclua.locallisting"

static int listing_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, LISTING);
  if (*box) {
    closedir(*box);
    *box = NULL;
  }
  return 0;
}

static int l_list(lua_State *L) {
  struct arc_root *root = check_root(L);
  const char *path = check_path(L, 2);
  void **box = arc_newbox(L, LISTING);
  int fd = -1;
  int error = arc_root_file(root, path, O_RDONLY | O_DIRECTORY, 0, &fd);
  if (error) {
    return result(L, error, "list", path);
  }
  *box = fdopendir(fd);
  if (!*box) {
    error = errno;
    close(fd);
    return result(L, error, "list", path);
  }
  push_entries(L, *box);
  closedir(*box);
  *box = NULL;
  return 1;
}

/* ---- files -----------------------------------------------------------------
 */

static int file_gc(lua_State *L) {
  struct file *file = luaL_checkudata(L, 1, LOCAL_FILE);
  if (file->fd >= 0) {
    close(file->fd);
    file->fd = -1;
  }
  return 0;
}

static struct file *check_file(lua_State *L, int index) {
  struct file *file = luaL_checkudata(L, index, LOCAL_FILE);
  luaL_argcheck(L, file->fd >= 0, index, "the file is closed");
  return file;
}

int arc_checklocal(lua_State *L, int index, const char **name) {
  struct file *file = check_file(L, index);
  *name = file->name;
  return file->fd;
}

/* "r": to be read; "c": made if it is not there; "wx": only when it is not. */
static int check_flags(lua_State *L, int index) {
  static const char *const modes[] = {"r", "c", "wx", NULL};
  static const int flags[] = {O_RDONLY, O_RDWR | O_CREAT,
                              O_RDWR | O_CREAT | O_EXCL};
  return flags[luaL_checkoption(L, index, "r", modes)];
}

static int l_open(lua_State *L) {
  struct arc_root *root = check_root(L);
  const char *path = check_path(L, 2);
  int flags = check_flags(L, 3);
  mode_t mode = opt_mode(L, 4, 0600);
  struct file *file = lua_newuserdatauv(L, sizeof *file, 0);
  file->fd = -1;
  arc_sftp_show(file->name, sizeof file->name, path);
  luaL_setmetatable(L, LOCAL_FILE);
  int error = arc_root_file(root, path, flags, mode, &file->fd);
  return error ? result(L, error, "open", path) : 1;
}

static int l_fstat(lua_State *L) {
  struct stat st;
  const struct file *file = check_file(L, 1);
  if (fstat(file->fd, &st)) {
    return result(L, errno, "look at", file->name);
  }
  push_stat(L, &st);
  return 1;
}

static int l_fsetstat(lua_State *L) {
  struct wanted w = {-1, -1, -1};
  struct timespec times[2];
  const struct file *file = check_file(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  arc_checkoptions(L, 2, ATTRS, &w);
  times_of(&w, times);
  int error = w.mode >= 0 ? done(fchmod(file->fd, (mode_t)w.mode)) : 0;
  if (!error && (w.atime >= 0 || w.mtime >= 0)) {
    error = done(futimens(file->fd, times));
  }
  return result(L, error, "set attributes of", file->name);
}

static int l_truncate(lua_State *L) {
  const struct file *file = check_file(L, 1);
  lua_Integer size = luaL_checkinteger(L, 2);
  luaL_argcheck(L, size >= 0, 2, "a size expected");
  return result(L, done(ftruncate(file->fd, (off_t)size)), "truncate",
                file->name);
}

/* Close, and say what only then comes to light (a quota of NFS). */
static int l_close(lua_State *L) {
  struct file *file = check_file(L, 1);
  int error = done(close(file->fd));
  file->fd = -1;
  return result(L, error, "close", file->name);
}

/* ---- what takes its time ---------------------------------------------------
 */

struct disk_work {
  struct arc_work work;
  int fd; /* its own */
  int error;
  uint8_t sum[ARC_SHA256_SIZE];
};

static void free_work(struct arc_work *work) {
  struct disk_work *w = (struct disk_work *)work;
  close(w->fd);
  free(w);
}

static void run_sync(struct arc_work *work) {
  struct disk_work *w = (struct disk_work *)work;
  w->error = done(fsync(w->fd));
}

static void run_sum(struct arc_work *work) {
  struct disk_work *w = (struct disk_work *)work;
  w->error = arc_crypto_sha256_file(w->fd, w->sum);
}

static int finish_sync(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  const struct disk_work *w = (struct disk_work *)arc_work_of(op);
  return result(L, w->error, "write to disk", check_file(L, 1)->name);
}

static int finish_sum(lua_State *L, struct arc_op *op) {
  char hex[2 * ARC_SHA256_SIZE + 1];
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  const struct disk_work *w = (struct disk_work *)arc_work_of(op);
  if (w->error) {
    return result(L, w->error, "read", check_file(L, 1)->name);
  }
  for (size_t i = 0; i < sizeof w->sum; i++) {
    snprintf(hex + 2 * i, 3, "%02x", w->sum[i]);
  }
  lua_pushstring(L, hex);
  return 1;
}

static int await_work(lua_State *L, void (*run)(struct arc_work *),
                      const char *name, arc_finish *finish) {
  const struct file *file = check_file(L, 1);
  struct disk_work *w = calloc(1, sizeof *w);
  if (!w) {
    return luaL_error(L, "out of memory");
  }
  w->work = (struct arc_work){.run = run, .free = free_work};
  w->fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 3);
  if (w->fd < 0) {
    int error = errno;
    free(w);
    return result(L, error, "open", file->name);
  }
  return arc_await(L, arc_work_start(arc_getloop(L), name, &w->work), finish);
}

static int l_sync(lua_State *L) {
  return await_work(L, run_sync, "file.sync", finish_sync);
}

static int l_sha256(lua_State *L) {
  return await_work(L, run_sum, "file.sha256", finish_sum);
}

void arc_open_local(lua_State *L) {
  static const luaL_Reg root[] = {{"stat", l_stat},
                                  {"lstat", l_lstat},
                                  {"mkdir", l_mkdir},
                                  {"remove", l_remove},
                                  {"rmdir", l_rmdir},
                                  {"rename", l_rename},
                                  {"symlink", l_symlink},
                                  {"readlink", l_readlink},
                                  {"setstat", l_setstat},
                                  {"list", l_list},
                                  {"realpath", l_realpath},
                                  {"open", l_open},
                                  {NULL, NULL}};
  static const luaL_Reg file[] = {
      {"stat", l_fstat}, {"setstat", l_fsetstat}, {"truncate", l_truncate},
      {"sync", l_sync},  {"sha256", l_sha256},    {NULL, NULL}};
  arc_newtype(L, ROOT, root, root_gc);
  arc_newtype(L, LISTING, NULL, listing_gc);
  arc_newtype(L, LOCAL_FILE, file, file_gc);
  luaL_getmetatable(L, LOCAL_FILE);
  lua_getfield(L, -1, "__index");
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "close");
  lua_pop(L, 2);
  lua_pushcfunction(L, l_local);
  lua_setfield(L, -2, "local_root");
}
