/* SPDX-License-Identifier: MIT */
#ifndef ARC_FUZZ_H
#define ARC_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"
#include "util/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input; never compiled away. */
#define DEMAND(condition)                                                      \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);  \
      abort();                                                                 \
    }                                                                          \
  } while (0)

/* The input, read from its front. */
struct fuzz_input {
  const uint8_t *at;
  size_t left;
};

static inline uint8_t fuzz_byte(struct fuzz_input *in) {
  if (!in->left) {
    return 0;
  }
  in->left--;
  return *in->at++;
}

/* n bytes (at most all that are left) as a NUL-terminated copy; free() it. */
static inline char *fuzz_text(struct fuzz_input *in, size_t n) {
  n = n < in->left ? n : in->left;
  char *text = malloc(n + 1);
  DEMAND(text);
  if (n) {
    memcpy(text, in->at, n);
  }
  text[n] = '\0';
  in->at += n;
  in->left -= n;
  return text;
}

/* The next line without its end, as fuzz_text. */
static inline char *fuzz_line(struct fuzz_input *in) {
  const uint8_t *end = in->left ? memchr(in->at, '\n', in->left) : NULL;
  char *text = fuzz_text(in, end ? (size_t)(end - in->at) : in->left);
  fuzz_byte(in);
  return text;
}

/* An error that a peer's bytes have led to may go to a terminal as it is. */
static inline void fuzz_check_error(const struct arc_err *err) {
  DEMAND(err && err->refs);
  DEMAND(arc_utf8_valid(err->message, strlen(err->message)));
  for (const char *c = err->message; *c; c++) {
    unsigned char now = (unsigned char)*c, next = (unsigned char)c[1];
    DEMAND(now >= 0x20 || now == '\n' || now == '\t');
    DEMAND(now != 0x7f && !(now == 0xc2 && next < 0xa0));
  }
  size_t n = strnlen(err->tracking_id, sizeof err->tracking_id);
  DEMAND(n < sizeof err->tracking_id);
}

#endif
