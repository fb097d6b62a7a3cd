/* SPDX-License-Identifier: MIT */
#ifndef ARC_LAZY_H
#define ARC_LAZY_H

/* Libraries that are loaded at their first call, because loading costs a
 * program that never needs them. A file that says ARC_LAZY("libNAME.so.N")
 * once holds, under its own name, each function of that library that the
 * engine uses; it hands on to the real one, and without the library fails as
 * that function would. A function that is missing is a link error. */
#include <dlfcn.h>
#include <uv.h>

/* The two statics are written once, at the first call. */
#define ARC_LAZY(LIBRARY)                                                      \
  static void *library;                                                        \
  static uv_once_t once = UV_ONCE_INIT;                                        \
  static void load(void) { library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL); } \
  static void *find(const char *name) {                                        \
    uv_once(&once, load);                                                      \
    return library ? dlsym(library, name) : NULL;                              \
  }

/* RESULT NAME PARAMS, called with ARGS; FAILED without the library. */
#define FORWARD(RESULT, NAME, PARAMS, ARGS, FAILED)                            \
  RESULT NAME PARAMS {                                                         \
    static RESULT(*real) PARAMS;                                               \
    if (!real) {                                                               \
      *(void **)&real = find(#NAME);                                           \
    }                                                                          \
    return real ? real ARGS : (FAILED);                                        \
  }
#define FORWARD_VOID(NAME, PARAMS, ARGS)                                       \
  void NAME PARAMS {                                                           \
    static void(*real) PARAMS;                                                 \
    if (!real) {                                                               \
      *(void **)&real = find(#NAME);                                           \
    }                                                                          \
    if (real) {                                                                \
      real ARGS;                                                               \
    }                                                                          \
  }

#endif
