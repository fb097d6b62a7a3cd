/* SPDX-License-Identifier: MIT */
#include "util/secret.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_WIPED = 64 * 1024 };

struct arc_secret *arc_secret_new(const void *bytes, size_t n) {
  if (n > SIZE_MAX / 2) {
    return NULL;
  }
  struct arc_secret *secret = malloc(sizeof *secret + n + 1);
  if (!secret) {
    return NULL;
  }
  secret->refs = 1;
  secret->len = n;
  if (n) {
    memcpy(secret->bytes, bytes, n);
  }
  secret->bytes[n] = '\0';
  return secret;
}

struct arc_secret *arc_secret_ref(struct arc_secret *secret) {
  if (secret) {
    secret->refs++;
  }
  return secret;
}

void arc_secret_unref(struct arc_secret *secret) {
  if (!secret || --secret->refs) {
    return;
  }
  explicit_bzero(secret->bytes, secret->len);
  free(secret);
}

/* ---- an allocator ----------------------------------------------------------
 */

/* Not by malloc: what libraries ask for is not counted among our own
 * allocations (spec/fuzz/oom). */
void *arc_wipe_malloc(size_t n) { return reallocarray(NULL, 1, n); }

void *arc_wipe_calloc(size_t count, size_t n) {
  void *block = reallocarray(NULL, count, n);
  return block ? memset(block, 0, count * n) : NULL;
}

char *arc_wipe_strdup(const char *text) {
  size_t n = strlen(text) + 1;
  char *copy = arc_wipe_malloc(n);
  return copy ? memcpy(copy, text, n) : NULL;
}

void arc_wipe_free(void *block) {
  if (block) {
    explicit_bzero(block, malloc_usable_size(block));
    free(block);
  }
}

void *arc_wipe_realloc(void *block, size_t n) {
  size_t old = block ? malloc_usable_size(block) : 0;
  if (!n) {
    arc_wipe_free(block);
    return NULL;
  }
  if (n <= old && n > old / 2) {
    return block;
  }
  void *to = arc_wipe_malloc(n);
  if (to && block) {
    memcpy(to, block, n < old ? n : old);
    arc_wipe_free(block);
  }
  return to;
}

/* So many blocks of one size as malloc keeps at hand for a thread, and one. */
static void wipe_size(size_t n) {
  void *blocks[8];
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
    blocks[i] = arc_wipe_malloc(n);
  }
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
    arc_wipe_free(blocks[i]);
  }
}

void arc_wipe_heap(void) {
  for (size_t n = 24; n <= 1032; n += 16) {
    wipe_size(n);
  }
  for (size_t n = 2048; n <= STACK_WIPED; n *= 2) {
    wipe_size(n);
  }
}

/* The vector registers keep what was copied last, and the dynamic linker puts
 * them on the stack when it looks up a function: zeros are copied, too, in each
 * way that memcpy has for some length. */
__attribute__((noinline)) void arc_wipe_stack(void) {
  char below[STACK_WIPED];
  explicit_bzero(below, sizeof below);
  for (size_t n = sizeof below / 2; n >= 16; n /= 2) {
    memcpy(below, below + sizeof below / 2, n);
    __asm__ volatile("" : : "r"(below) : "memory");
  }
}
