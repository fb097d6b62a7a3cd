/* SPDX-License-Identifier: MIT */
#include "util/utf8.h"

#include <stdint.h>

/* Length of the well-formed sequence at `at`, 0 when there is none. */
static size_t sequence(const unsigned char *at, size_t left) {
  static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  unsigned char c = at[0];
  size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3
             : c < 0xf5 ? 4 : 0;
  if (n <= 1 || n > left) {
    return n == 1 ? 1 : 0;
  }
  uint32_t code = c & (0xffu >> (n + 1));
  for (size_t i = 1; i < n; i++) {
    if ((at[i] & 0xc0) != 0x80) {
      return 0;
    }
    code = code << 6 | (at[i] & 0x3fu);
  }
  bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < least[n] || code > 0x10ffff || surrogate ? 0 : n;
}

bool arc_utf8_valid(const char *text, size_t n) {
  const unsigned char *at = (const unsigned char *)text;
  while (n) {
    size_t step = sequence(at, n);
    if (!step) {
      return false;
    }
    at += step;
    n -= step;
  }
  return true;
}
