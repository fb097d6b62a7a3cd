/* SPDX-License-Identifier: MIT */
/* make OUT ROOT FILE...: writes OUT, a C file that holds each Lua file as text
 * and as this liblua compiles it, and which liblua that was. A file below ROOT
 * is the module of its path, one of elsewhere the module of its name. */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PER_LINE = 20, FILE_MAX = 16 * 1024 * 1024 };

struct array {
  FILE *out;
  size_t length;
};

static void put(struct array *a, const void *bytes, size_t n) {
  const unsigned char *at = bytes;
  for (size_t i = 0; i < n; i++) {
    fprintf(a->out, "%u,", at[i]);
    if (++a->length % PER_LINE == 0) {
      fputc('\n', a->out);
    }
  }
}

static int dumped(lua_State *L, const void *bytes, size_t n, void *array) {
  (void)L;
  put(array, bytes, n);
  return 0;
}

/* ROOT/arclua/fleet/init.lua -> arclua.fleet */
static void push_name(lua_State *L, const char *root, const char *file) {
  size_t n = strlen(root);
  bool below = !strncmp(file, root, n) && file[n] == '/';
  const char *slash = strrchr(file, '/');
  lua_pushstring(L, below ? file + n + 1 : slash ? slash + 1 : file);
  luaL_gsub(L, lua_tostring(L, -1), "/init.lua", "");
  luaL_gsub(L, lua_tostring(L, -1), ".lua", "");
  luaL_gsub(L, lua_tostring(L, -1), "/", ".");
}

/* The file's text on the stack. */
static void push_text(lua_State *L, const char *file) {
  FILE *in = fopen(file, "rb");
  char *text = in ? malloc(FILE_MAX) : NULL;
  size_t n = text ? fread(text, 1, FILE_MAX, in) : 0;
  int error = !text ? errno : n == FILE_MAX ? EFBIG : ferror(in) ? EIO : 0;
  lua_pushlstring(L, text ? text : "", n);
  free(text);
  if (in) {
    fclose(in);
  }
  if (error) {
    luaL_error(L, "%s: %s", file, strerror(error));
  }
}

/* One module: its two arrays, their lengths as enumerators. */
static void write_module(lua_State *L, FILE *out, int number, const char *root,
                         const char *file) {
  struct array text = {.out = out}, code = {.out = out};
  lua_settop(L, 0);
  push_text(L, file);
  push_name(L, root, file);
  size_t n;
  const char *bytes = lua_tolstring(L, 1, &n);
  lua_pushfstring(L, "@%s", lua_tostring(L, -1));
  if (luaL_loadbufferx(L, bytes, n, lua_tostring(L, -1), "t")) {
    lua_error(L);
  }
  fprintf(out, "static const unsigned char t%d[] = {\n", number);
  put(&text, bytes, n);
  fprintf(out, "0};\nstatic const unsigned char c%d[] = {\n", number);
  lua_dump(L, dumped, &code, 0);
  fprintf(out, "0};\nenum { t%d_len = %zu, c%d_len = %zu };\n", number,
          text.length, number, code.length);
}

static int write_all(lua_State *L) {
  char **argv = lua_touserdata(L, 1);
  FILE *out = lua_touserdata(L, 2);
  fputs("/* Made by core/host/bundle/make.c. */\n"
        "#include \"host/bundle/bundle.h\"\n\n",
        out);
  int n = 0;
  for (; argv[3 + n]; n++) {
    write_module(L, out, n, argv[2], argv[3 + n]);
  }
  fputs("const struct arc_bundled arc_bundle[] = {\n", out);
  for (int i = 0; i < n; i++) {
    lua_settop(L, 0);
    push_name(L, argv[2], argv[3 + i]);
    fprintf(out, "    {\"%s\", t%d, t%d_len, c%d, c%d_len},\n",
            lua_tostring(L, -1), i, i, i, i);
  }
  fprintf(out,
          "    {0, 0, 0, 0, 0}};\n\nconst char arc_bundle_ident[] =\n    "
          "\"%s\";\n",
          lua_ident);
  return 0;
}

int main(int argc, char **argv) {
  FILE *out = argc > 2 ? fopen(argv[1], "wb") : NULL;
  lua_State *L = out ? luaL_newstate() : NULL;
  int status = EXIT_FAILURE;
  if (!L) {
    perror(argc > 1 ? argv[1] : "make OUT ROOT FILE...");
  } else {
    lua_pushcfunction(L, write_all);
    lua_pushlightuserdata(L, argv);
    lua_pushlightuserdata(L, out);
    if (lua_pcall(L, 2, 0, 0)) {
      fprintf(stderr, "bundle: %s\n", lua_tostring(L, -1));
    } else {
      status = EXIT_SUCCESS;
    }
    lua_close(L);
  }
  if (out && fclose(out) && status == EXIT_SUCCESS) {
    perror(argv[1]);
    status = EXIT_FAILURE;
  }
  return status;
}
