/* SPDX-License-Identifier: MIT */
/* Makes our own allocations fail: linked into core.so with --wrap, so that
 * only calls from our objects come here, none of a library's or of Lua's.
 * package.loadlib(core.so, "luaopen_oom") gives the functions to Lua. */
#include <lauxlib.h>
#include <lua.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);

void __sanitizer_print_stack_trace(void);

static struct {
  unsigned long calls; /* since armed */
  unsigned long first; /* the call that fails; 0 = none */
  unsigned long every; /* and each so many after it; 0 = only that one */
  unsigned long failed;
} plan;

static bool refused(void) {
  plan.calls++;
  bool now = plan.first && plan.calls >= plan.first &&
             (plan.every ? (plan.calls - plan.first) % plan.every == 0
                         : plan.calls == plan.first);
  plan.failed += now;
  if (now && getenv("OOM_TRACE")) {
    __sanitizer_print_stack_trace();
  }
  return now;
}

void *__wrap_malloc(size_t size) {
  return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
  return refused() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text) {
  return refused() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n) {
  return refused() ? NULL : __real_strndup(text, n);
}

int __wrap_asprintf(char **to, const char *format, ...) {
  if (refused()) {
    *to = NULL;
    return -1;
  }
  va_list args;
  va_start(args, format);
  int n = vasprintf(to, format, args);
  va_end(args);
  return n;
}

/* arm(first, every): the first-th allocation from here fails, and then each
 * so many; arm(0): none does. Returns how many were made, and how many
 * failed, since the last time. */
static int l_arm(lua_State *L) {
  unsigned long calls = plan.calls;
  unsigned long failed = plan.failed;
  plan.first = (unsigned long)luaL_checkinteger(L, 1);
  plan.every = (unsigned long)luaL_optinteger(L, 2, 0);
  plan.calls = plan.failed = 0;
  lua_pushinteger(L, (lua_Integer)calls);
  lua_pushinteger(L, (lua_Integer)failed);
  return 2;
}

__attribute__((visibility("default"))) int luaopen_oom(lua_State *L) {
  lua_pushcfunction(L, l_arm);
  return 1;
}
