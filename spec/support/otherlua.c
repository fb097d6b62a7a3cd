/* SPDX-License-Identifier: MIT */
/* Preloaded: the program sees another release of liblua than compiled its Lua
 * files, and one that takes no compiled code. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

struct lua_State;
typedef int load_fn(struct lua_State *, const char *, size_t, const char *,
                    const char *);

extern const char lua_ident[];
load_fn luaL_loadbufferx;

const char lua_ident[] = "$LuaVersion: another $";

int luaL_loadbufferx(struct lua_State *L, const char *bytes, size_t n,
                     const char *name, const char *mode) {
  load_fn *real;
  *(void **)&real = dlsym(RTLD_NEXT, "luaL_loadbufferx");
  if (n && bytes[0] == '\033') {
    fputs("compiled code\n", stderr);
    abort();
  }
  return real(L, bytes, n, name, mode);
}
