/* SPDX-License-Identifier: MIT */
#include "util/secret.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
