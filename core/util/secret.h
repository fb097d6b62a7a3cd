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

/* An allocator for libraries that secrets pass through: as malloc, calloc,
 * realloc, strdup and free, but blocks are wiped before they are given back.
 * arc_wipe_free takes any block of malloc. */
void *arc_wipe_malloc(size_t n);
void *arc_wipe_calloc(size_t count, size_t n);
void *arc_wipe_realloc(void *block, size_t n);
char *arc_wipe_strdup(const char *text);
void arc_wipe_free(void *block);
/* Wipes blocks that were given back lately: what a library has freed with a
 * secret in it is most likely what malloc hands out first. */
void arc_wipe_heap(void);
/* Wipes the stack below the caller and the vector registers: ciphers and
 * copying leave there what they have just read. */
void arc_wipe_stack(void);

#endif
