/* SPDX-License-Identifier: MIT */
#ifndef ARC_SECRET_H
#define ARC_SECRET_H

#include <stddef.h>

/* Bytes that are wiped before their memory is given back: a token, a key, a
 * password. Reference counted; always NUL terminated after `len`. */
struct arc_secret {
  unsigned refs;
  size_t len;
  char bytes[];
};

/* A copy of n bytes with one reference, or NULL without memory. */
struct arc_secret *arc_secret_new(const void *bytes, size_t n);
struct arc_secret *arc_secret_ref(struct arc_secret *secret);
void arc_secret_unref(struct arc_secret *secret); /* NULL is fine */

#endif
