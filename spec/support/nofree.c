/* SPDX-License-Identifier: MIT */
/* For LD_PRELOAD: memory that is given back is never used again, so that what
 * was not wiped before stays to be found. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void free(void *block) { (void)block; }

void *realloc(void *block, size_t n) {
  void *to = malloc(n);
  if (to && block) {
    size_t old = malloc_usable_size(block);
    memcpy(to, block, old < n ? old : n);
  }
  return to;
}
