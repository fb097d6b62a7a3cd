/* SPDX-License-Identifier: MIT */
/* The few things of the system that Lua's own library lacks. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lua/lcore.h"
#include "util/files.h"
#include "util/utf8.h"

#define DIRECTORY "arclua.directory"

/* true, or nil and the error of errno `error`. */
static int result(lua_State *L, int error, const char *what, const char *path) {
  if (error) {
    return arc_pushfailnew(L, arc_err_errno(error, "%s %s", what, path));
  }
  lua_pushboolean(L, 1);
  return 1;
}

static mode_t opt_mode(lua_State *L, int index, int default_mode) {
  lua_Integer mode = luaL_optinteger(L, index, default_mode);
  luaL_argcheck(L, mode >= 0 && mode <= 07777, index, "not a file mode");
  return (mode_t)mode;
}

static int l_getuid(lua_State *L) {
  lua_pushinteger(L, geteuid());
  return 1;
}

static int l_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

static int l_user(lua_State *L) {
  struct passwd *entry = getpwuid(geteuid());
  const char *name = entry ? entry->pw_name : getenv("USER");
  lua_pushstring(L, name);
  return 1;
}

static int l_cwd(lua_State *L) {
  char path[PATH_MAX];
  if (!getcwd(path, sizeof path)) {
    return result(L, errno, "find", "the working directory");
  }
  lua_pushstring(L, path);
  return 1;
}

static int l_home(lua_State *L) {
  const char *home = getenv("HOME");
  if (!home || !*home) {
    struct passwd *entry = getpwuid(geteuid());
    home = entry ? entry->pw_dir : NULL;
  }
  lua_pushstring(L, home);
  return 1;
}

static int l_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

static int l_winsize(lua_State *L) {
  struct winsize size;
  if (ioctl((int)luaL_checkinteger(L, 1), TIOCGWINSZ, &size) || !size.ws_col) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, size.ws_col);
  lua_pushinteger(L, size.ws_row);
  return 2;
}

static int l_mkdir(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  return result(L, arc_mkdirs(path, opt_mode(L, 2, 0755)), "make directory",
                path);
}

static int l_mkdtemp(lua_State *L) {
  const char *prefix = luaL_checkstring(L, 1);
  const char *base = getenv("TMPDIR");
  char path[512];
  int n = snprintf(path, sizeof path, "%s/%sXXXXXX",
                   base && *base ? base : "/tmp", prefix);
  if (n >= (int)sizeof path) {
    return result(L, ENAMETOOLONG, "make directory", prefix);
  }
  if (!mkdtemp(path)) {
    return result(L, errno, "make directory", path);
  }
  lua_pushstring(L, path);
  return 1;
}

static int l_write_file(lua_State *L) {
  size_t n;
  const char *path = luaL_checkstring(L, 1);
  const char *data = luaL_checklstring(L, 2, &n);
  return result(L, arc_write_file(path, data, n, opt_mode(L, 3, 0600)), "write",
                path);
}

static int l_append_file(lua_State *L) {
  size_t n;
  const char *path = luaL_checkstring(L, 1);
  const char *data = luaL_checklstring(L, 2, &n);
  return result(L, arc_append_file(path, data, n, opt_mode(L, 3, 0600)),
                "append to", path);
}

static int l_read_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_Integer max = luaL_optinteger(L, 2, 64LL * 1024 * 1024);
  luaL_argcheck(L, max >= 0, 2, "a size expected");
  struct arc_buf text = {0};
  int error = arc_read_file(path, (size_t)max, &text);
  if (!error) {
    lua_pushlstring(L, (const char *)arc_buf_head(&text), arc_buf_len(&text));
  }
  arc_buf_free(&text);
  return error ? result(L, error, "read", path) : 1;
}

static int l_remove(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  return result(L, arc_remove_tree(path), "remove", path);
}

static const char *type_name(mode_t mode) {
  return S_ISREG(mode)   ? "file"
         : S_ISDIR(mode) ? "directory"
         : S_ISLNK(mode) ? "link"
                         : "other";
}

static int l_stat(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stat st;
  if (lua_toboolean(L, 2) ? stat(path, &st) : lstat(path, &st)) {
    return result(L, errno, "stat", path);
  }
  lua_createtable(L, 0, 5);
  lua_pushstring(L, type_name(st.st_mode));
  lua_setfield(L, -2, "type");
  lua_pushinteger(L, st.st_mode & 07777);
  lua_setfield(L, -2, "mode");
  lua_pushinteger(L, st.st_size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, st.st_uid);
  lua_setfield(L, -2, "uid");
  lua_pushnumber(L, (lua_Number)st.st_mtim.tv_sec +
                        (lua_Number)st.st_mtim.tv_nsec / 1e9);
  lua_setfield(L, -2, "mtime");
  return 1;
}

static int directory_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, DIRECTORY);
  if (*box) {
    closedir(*box);
    *box = NULL;
  }
  return 0;
}

static int l_list(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  void **box = arc_newbox(L, DIRECTORY);
  *box = opendir(path);
  if (!*box) {
    return result(L, errno, "list", path);
  }
  lua_newtable(L);
  lua_Integer n = 0;
  struct dirent *entry;
  while ((entry = readdir(*box))) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      lua_pushstring(L, entry->d_name);
      lua_rawseti(L, -2, ++n);
    }
  }
  closedir(*box);
  *box = NULL;
  return 1;
}

static int l_realpath(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char real[PATH_MAX];
  if (!realpath(path, real)) {
    return result(L, errno, "resolve", path);
  }
  lua_pushstring(L, real);
  return 1;
}

static int l_chmod(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  mode_t mode = opt_mode(L, 2, 0600);
  return result(L, chmod(path, mode) ? errno : 0, "chmod", path);
}

static int l_chown(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_Integer uid = luaL_checkinteger(L, 2);
  lua_Integer gid = luaL_checkinteger(L, 3);
  return result(L, lchown(path, (uid_t)uid, (gid_t)gid) ? errno : 0, "chown",
                path);
}

static int l_utc(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds < 2.5e11, 1, "a time expected");
  lua_Number whole = floor(seconds);
  int ms = (int)((seconds - whole) * 1000);
  time_t t = (time_t)whole;
  struct tm tm;
  char text[48], all[64];
  gmtime_r(&t, &tm);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
  if (ms > 0) {
    snprintf(all, sizeof all, "%s.%03dZ", text, ms);
  } else {
    snprintf(all, sizeof all, "%sZ", text);
  }
  lua_pushstring(L, all);
  return 1;
}

static int l_self(lua_State *L) {
  char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  if (n < 0) {
    return result(L, errno, "read", "/proc/self/exe");
  }
  lua_pushlstring(L, path, (size_t)n);
  return 1;
}

static int l_rlimit(lua_State *L) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) {
    return result(L, errno, "read", "RLIMIT_NOFILE");
  }
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  lua_pushinteger(L, (lua_Integer)limit.rlim_cur);
  return 1;
}

static int l_valid_utf8(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_pushboolean(L, arc_utf8_valid(text, n));
  return 1;
}

static int l_cpu(lua_State *L) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  lua_pushnumber(L, (lua_Number)use.ru_utime.tv_sec +
                        (lua_Number)use.ru_utime.tv_usec / 1e6);
  lua_pushnumber(L, (lua_Number)use.ru_stime.tv_sec +
                        (lua_Number)use.ru_stime.tv_usec / 1e6);
  lua_pushinteger(L, use.ru_maxrss);
  return 3;
}

void arc_open_sys(lua_State *L) {
  static const luaL_Reg functions[] = {{"getuid", l_getuid},
                                       {"pid", l_pid},
                                       {"user", l_user},
                                       {"home", l_home},
                                       {"cwd", l_cwd},
                                       {"isatty", l_isatty},
                                       {"winsize", l_winsize},
                                       {"mkdir", l_mkdir},
                                       {"mkdtemp", l_mkdtemp},
                                       {"write_file", l_write_file},
                                       {"append_file", l_append_file},
                                       {"read_file", l_read_file},
                                       {"remove", l_remove},
                                       {"stat", l_stat},
                                       {"list", l_list},
                                       {"realpath", l_realpath},
                                       {"chmod", l_chmod},
                                       {"chown", l_chown},
                                       {"utc", l_utc},
                                       {"self", l_self},
                                       {"rlimit_nofile", l_rlimit},
                                       {"valid_utf8", l_valid_utf8},
                                       {"cpu", l_cpu},
                                       {NULL, NULL}};
  arc_newtype(L, DIRECTORY, NULL, directory_gc);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "sys");
}
