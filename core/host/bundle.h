/* SPDX-License-Identifier: MIT */
#ifndef ARC_BUNDLE_H
#define ARC_BUNDLE_H

#include <stddef.h>

/* The Lua files that the program carries; ends with a NULL name. */
struct arc_bundled {
  const char *name; /* module name: "arclua.fleet" */
  const unsigned char *bytes;
  size_t length;
};

extern const struct arc_bundled arc_bundle[];

#endif
