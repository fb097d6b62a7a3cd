/* SPDX-License-Identifier: MIT */
#include "crypto/base64.h"

#include <stdint.h>

static char letter(unsigned value, enum arc_base64 kind) {
  static const char common[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  if (value < 62) {
    return common[value];
  }
  if (kind == ARC_BASE64_URL) {
    return value == 62 ? '-' : '_';
  }
  return value == 62 ? '+' : '/';
}

static int value_of(char c) {
  if (c >= 'A' && c <= 'Z') {
    return c - 'A';
  }
  if (c >= 'a' && c <= 'z') {
    return c - 'a' + 26;
  }
  if (c >= '0' && c <= '9') {
    return c - '0' + 52;
  }
  if (c == '+' || c == '-') {
    return 62;
  }
  return c == '/' || c == '_' ? 63 : -1;
}

bool arc_base64_encode(struct arc_buf *to, const void *data, size_t n,
                       enum arc_base64 kind) {
  if (n == 0 || n > SIZE_MAX / 2) {
    return n == 0;
  }
  uint8_t *out = arc_buf_reserve(to, (n + 2) / 3 * 4);
  if (!out) {
    return false;
  }
  const uint8_t *in = data;
  size_t at = 0;
  for (size_t i = 0; i < n; i += 3) {
    size_t have = n - i < 3 ? n - i : 3;
    uint32_t bits = (uint32_t)in[i] << 16;
    bits |= have > 1 ? (uint32_t)in[i + 1] << 8 : 0;
    bits |= have > 2 ? in[i + 2] : 0;
    for (size_t k = 0; k < 4; k++) {
      if (k <= have) {
        out[at++] = (uint8_t)letter(bits >> (18 - 6 * k) & 63, kind);
      } else if (kind == ARC_BASE64_PADDED) {
        out[at++] = '=';
      }
    }
  }
  arc_buf_commit(to, at);
  return true;
}

bool arc_base64_decode(struct arc_buf *to, const char *text, size_t n) {
  size_t pads = 0;
  while (n > 0 && text[n - 1] == '=' && pads < 2) {
    n--;
    pads++;
  }
  if (n % 4 == 1 || (pads && (n + pads) % 4)) {
    return false;
  }
  uint8_t *out = arc_buf_reserve(to, n / 4 * 3 + 3);
  if (!out) {
    return false;
  }
  size_t at = 0;
  uint32_t bits = 0;
  for (size_t i = 0; i < n; i++) {
    int value = value_of(text[i]);
    if (value < 0) {
      return false;
    }
    bits = (bits << 6 | (uint32_t)value) & 0xffffff;
    if (i % 4) {
      out[at++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
  }
  arc_buf_commit(to, at);
  return true;
}
