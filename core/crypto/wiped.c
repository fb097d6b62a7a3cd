/* SPDX-License-Identifier: MIT */
#include "crypto/wiped.h"

#include <openssl/crypto.h>

#include "util/secret.h"

static void *get(size_t n, const char *file, int line) {
  (void)file, (void)line;
  return n ? arc_wipe_malloc(n) : NULL;
}

static void *change(void *block, size_t n, const char *file, int line) {
  (void)file, (void)line;
  return arc_wipe_realloc(block, n);
}

static void give_back(void *block, const char *file, int line) {
  (void)file, (void)line;
  arc_wipe_free(block);
}

void arc_crypto_wipe_memory(void) {
  CRYPTO_set_mem_functions(get, change, give_back);
}
