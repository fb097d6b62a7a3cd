/* SPDX-License-Identifier: MIT */
#include "util/utf8.h"

#include <stdint.h>

/* Length that the first byte announces, 0 for a byte that cannot be first. */
static size_t announced(unsigned char c) {
  if (c < 0x80) {
    return 1;
  }
  if (c < 0xc2 || c > 0xf4) {
    return 0;
  }
  return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

size_t arc_utf8_char(const char *text, size_t left) {
  const unsigned char *at = (const unsigned char *)text;
  static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  size_t n = announced(at[0]);
  if (n > left) {
    return 0;
  }
  uint32_t code = n > 1 ? at[0] & (0xffu >> (n + 1)) : at[0];
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
  while (n) {
    size_t step = arc_utf8_char(text, n);
    if (!step) {
      return false;
    }
    text += step;
    n -= step;
  }
  return true;
}
