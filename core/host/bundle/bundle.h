/* SPDX-License-Identifier: MIT */
#ifndef ARC_BUNDLE_H
#define ARC_BUNDLE_H

#include <stddef.h>

/* The Lua files that the program carries, also compiled: reading their text
 * takes most of the time that a command needs to start. Ends with a NULL name.
 */
struct arc_bundled {
  const char *name; /* module name: "arclua.fleet" */
  const unsigned char *text;
  size_t text_length;
  const unsigned char *code; /* for the liblua of arc_bundle_ident alone */
  size_t code_length;
};

extern const struct arc_bundled arc_bundle[];
/* lua_ident of the liblua that has compiled them. */
extern const char arc_bundle_ident[];

#endif
