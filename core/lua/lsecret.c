/* SPDX-License-Identifier: MIT */
/* Secrets: userdata that print "<redacted>". */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua/lcore.h"
#include "net/secretline.h"

#define SECRET "arclua.secret"

enum { SECRET_FILE_MAX = 64 * 1024 };

static int new_secret_box(lua_State *L) {
  arc_newbox(L, SECRET);
  return 1;
}

void arc_pushsecret(lua_State *L, struct arc_secret *secret) {
  lua_pushcfunction(L, new_secret_box);
  if (lua_pcall(L, 0, 1, 0)) {
    arc_secret_unref(secret);
    lua_error(L);
  }
  *(void **)lua_touserdata(L, -1) = secret;
}

struct arc_secret *arc_tosecret(lua_State *L, int index) {
  void **box = luaL_testudata(L, index, SECRET);
  return box ? *box : NULL;
}

struct arc_secret *arc_checksecret(lua_State *L, int index) {
  void **box = luaL_checkudata(L, index, SECRET);
  luaL_argcheck(L, *box, index, "the secret is closed");
  return *box;
}

static int secret_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, SECRET);
  struct arc_secret *secret = *box;
  *box = NULL;
  arc_secret_unref(secret);
  return 0;
}

static int l_tostring(lua_State *L) {
  luaL_checkudata(L, 1, SECRET);
  lua_pushliteral(L, "<redacted>");
  return 1;
}

static int push_copy(lua_State *L, const char *bytes, size_t n) {
  void **box = arc_newbox(L, SECRET);
  *box = arc_secret_new(bytes, n);
  return *box ? 1 : luaL_error(L, "out of memory");
}

static int l_secret(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  return push_copy(L, text, n);
}

/* (name, take): taken, it is gone for child processes and in /proc, too. */
static int l_secret_env(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  bool take = lua_toboolean(L, 2);
  char *value = getenv(name);
  if (!value || !*value) {
    lua_pushnil(L);
    return 1;
  }
  push_copy(L, value, strlen(value));
  if (take) {
    explicit_bzero(value, strlen(value));
    unsetenv(name);
  }
  return 1;
}

static int got_line(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushsecret(L, arc_secretline_take(op));
  return 1;
}

static int l_read_secret(lua_State *L) {
  return arc_await(L, arc_secretline(arc_takestream(L, 1)), got_line);
}

/* Reads the file into text (SECRET_FILE_MAX + 1 bytes); length or -errno. */
static ssize_t read_whole(const char *path, char *text) {
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;
  if (fd < 0) {
    return -errno;
  }
  ssize_t got = 0, n = 1;
  if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
    got = -EINVAL;
  }
  while (got >= 0 && got <= SECRET_FILE_MAX && n > 0) {
    n = read(fd, text + got, (size_t)(SECRET_FILE_MAX + 1 - got));
    got = n < 0 ? -errno : got + n;
  }
  close(fd);
  return got > SECRET_FILE_MAX ? -EFBIG : got;
}

static int l_secret_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  void **box = arc_newbox(L, SECRET);
  char *text = malloc(SECRET_FILE_MAX + 1);
  if (!text) {
    return luaL_error(L, "out of memory");
  }
  ssize_t n = read_whole(path, text);
  while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) {
    n--;
  }
  *box = n >= 0 ? arc_secret_new(text, (size_t)n) : NULL;
  explicit_bzero(text, SECRET_FILE_MAX + 1);
  free(text);
  if (n < 0) {
    return arc_pushfailnew(L, arc_err_errno((int)n, "read %s", path));
  }
  return *box ? 1 : luaL_error(L, "out of memory");
}

void arc_open_secret(lua_State *L) {
  static const luaL_Reg functions[] = {{"secret", l_secret},
                                       {"secret_env", l_secret_env},
                                       {"secret_file", l_secret_file},
                                       {"read_secret", l_read_secret},
                                       {NULL, NULL}};
  arc_newtype(L, SECRET, NULL, secret_gc);
  luaL_newmetatable(L, SECRET);
  lua_pushcfunction(L, l_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
