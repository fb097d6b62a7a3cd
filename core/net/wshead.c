/* SPDX-License-Identifier: MIT */
#include "net/wshead.h"

#include <string.h>

enum { TWO_BYTES = 126, EIGHT_BYTES = 127 };

static uint64_t number(const uint8_t *at, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; i++) {
    value = value << 8 | at[i];
  }
  return value;
}

static size_t length_size(unsigned small) {
  return small == TWO_BYTES ? 2 : small == EIGHT_BYTES ? 8 : 0;
}

static const char *judge(const struct arc_wshead *head, unsigned rsv,
                         size_t n_length) {
  if (rsv) {
    return "reserved bits are set";
  }
  bool control = head->opcode & 8;
  if ((head->opcode & 7) > 2) {
    return "an unknown kind of frame";
  }
  if (control && (!head->fin || n_length)) {
    return "a control frame in parts or too long";
  }
  if ((n_length == 2 && head->length < TWO_BYTES) ||
      (n_length == 8 && head->length <= UINT16_MAX)) {
    return "a length that is not in its shortest form";
  }
  return head->length >> 63 ? "an impossible length" : NULL;
}

int arc_wshead_read(const uint8_t *at, size_t n, struct arc_wshead *head,
                    const char **why) {
  if (n < 2) {
    return 0;
  }
  unsigned small = at[1] & 0x7f;
  size_t n_length = length_size(small);
  bool masked = at[1] & 0x80;
  size_t size = 2 + n_length + (masked ? 4 : 0);
  if (n < 2 + n_length) {
    return 0;
  }
  head->fin = at[0] & 0x80;
  head->opcode = at[0] & 0x0f;
  head->masked = masked;
  head->length = n_length ? number(at + 2, n_length) : small;
  *why = judge(head, at[0] & 0x70, n_length);
  if (*why) {
    return -1;
  }
  if (n < size) {
    return 0;
  }
  memset(head->mask, 0, sizeof head->mask);
  if (masked) {
    memcpy(head->mask, at + 2 + n_length, sizeof head->mask);
  }
  return (int)size;
}

size_t arc_wshead_write(uint8_t to[ARC_WSHEAD_MAX],
                        const struct arc_wshead *head) {
  size_t n_length = head->length <= ARC_WS_CONTROL_MAX ? 0
                    : head->length <= UINT16_MAX       ? 2
                                                       : 8;
  to[0] = (uint8_t)((head->fin ? 0x80 : 0) | head->opcode);
  to[1] = n_length == 0   ? (uint8_t)head->length
          : n_length == 2 ? TWO_BYTES
                          : EIGHT_BYTES;
  for (size_t i = 0; i < n_length; i++) {
    to[2 + i] = (uint8_t)(head->length >> (8 * (n_length - 1 - i)));
  }
  return 2 + n_length;
}

/* Eight bytes at a time: the compiler makes vectors of it. */
void arc_ws_mask(uint8_t *to, const uint8_t *from, size_t n,
                 const uint8_t mask[4], uint64_t phase) {
  uint8_t turned[8];
  for (size_t i = 0; i < sizeof turned; i++) {
    turned[i] = mask[(phase + i) & 3];
  }
  uint64_t wide;
  memcpy(&wide, turned, sizeof wide);
  size_t i = 0;
  for (; i + sizeof wide <= n; i += sizeof wide) {
    uint64_t word;
    memcpy(&word, from + i, sizeof word);
    word ^= wide;
    memcpy(to + i, &word, sizeof word);
  }
  for (; i < n; i++) {
    to[i] = from[i] ^ turned[i & 7];
  }
}

bool arc_ws_code_valid(int code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}
