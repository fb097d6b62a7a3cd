/* SPDX-License-Identifier: MIT */
#ifndef ARC_BASE64_H
#define ARC_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

enum arc_base64 {
  ARC_BASE64_PADDED, /* RFC 4648 §4: + / and = */
  ARC_BASE64_URL     /* RFC 4648 §5: - _ and no padding */
};

/* Appends the text of n bytes; false without memory. */
bool arc_base64_encode(struct arc_buf *to, const void *data, size_t n,
                       enum arc_base64 kind);
/* Appends the bytes of a text in either alphabet, padding optional. False
 * (and nothing useful appended) when the text is not base64, or no memory. */
bool arc_base64_decode(struct arc_buf *to, const char *text, size_t n);

#endif
