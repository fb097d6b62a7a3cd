/* SPDX-License-Identifier: MIT */
#include "util/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_MIN = 256, BUF_IDLE_MAX = 64 * 1024, PIECE = 2048 };

void arc_copy(void *to, const void *from, size_t n) {
  for (size_t at = 0; at < n; at += PIECE) {
    memcpy((uint8_t *)to + at, (const uint8_t *)from + at,
           n - at < PIECE ? n - at : PIECE);
  }
}

static void wipe(const struct arc_buf *buf) {
  if (buf->secret && buf->data) {
    explicit_bzero(buf->data, buf->cap);
  }
}

size_t arc_buf_len(const struct arc_buf *buf) { return buf->end - buf->start; }

const uint8_t *arc_buf_head(const struct arc_buf *buf) {
  static const uint8_t none[1] = {0};
  return buf->data ? buf->data + buf->start : none;
}

static bool grow(struct arc_buf *buf, size_t need) {
  size_t cap = buf->cap ? buf->cap : BUF_MIN;
  while (cap < need) {
    if (cap > SIZE_MAX / 2) {
      return false;
    }
    cap *= 2;
  }
  uint8_t *data = malloc(cap);
  if (!data) {
    return false;
  }
  size_t len = arc_buf_len(buf);
  if (buf->data) {
    arc_copy(data, buf->data + buf->start, len);
  }
  wipe(buf);
  free(buf->data);
  buf->data = data;
  buf->cap = cap;
  buf->start = 0;
  buf->end = len;
  return true;
}

uint8_t *arc_buf_reserve(struct arc_buf *buf, size_t n) {
  size_t len = arc_buf_len(buf);
  if (n > SIZE_MAX / 2 - len) {
    return NULL;
  }
  if (!buf->data || buf->cap - buf->end < n) {
    if (buf->data && buf->start >= len && buf->cap - len >= n) {
      memmove(buf->data, buf->data + buf->start, len); // halves do not overlap
      buf->start = 0;
      buf->end = len;
    } else if (!grow(buf, len + n)) {
      return NULL;
    }
  }
  return buf->data + buf->end;
}

void arc_buf_commit(struct arc_buf *buf, size_t n) { buf->end += n; }

bool arc_buf_append(struct arc_buf *buf, const void *data, size_t n) {
  if (!n) {
    return true;
  }
  uint8_t *to = arc_buf_reserve(buf, n);
  if (!to) {
    return false;
  }
  arc_copy(to, data, n);
  buf->end += n;
  return true;
}

bool arc_buf_u32(struct arc_buf *buf, uint32_t n) {
  uint8_t bytes[] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                     (uint8_t)n};
  return arc_buf_append(buf, bytes, sizeof bytes);
}

bool arc_buf_string(struct arc_buf *buf, const void *bytes, size_t n) {
  return n <= UINT32_MAX && arc_buf_reserve(buf, n + sizeof(uint32_t)) &&
         arc_buf_u32(buf, (uint32_t)n) && arc_buf_append(buf, bytes, n);
}

bool arc_buf_text(struct arc_buf *buf, const char *text) {
  return arc_buf_append(buf, text, strlen(text));
}

bool arc_buf_format(struct arc_buf *buf, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int need = vsnprintf(NULL, 0, format, args);
  va_end(args);
  uint8_t *to = need < 0 ? NULL : arc_buf_reserve(buf, (size_t)need + 1);
  if (!to) {
    return false;
  }
  va_start(args, format);
  vsnprintf((char *)to, (size_t)need + 1, format, args);
  va_end(args);
  buf->end += (size_t)need;
  return true;
}

void arc_buf_consume(struct arc_buf *buf, size_t n) {
  size_t len = arc_buf_len(buf);
  buf->start += n < len ? n : len;
  if (buf->start != buf->end) {
    return;
  }
  buf->start = buf->end = 0;
  if (buf->cap > BUF_IDLE_MAX) { // a burst should not hold its memory
    arc_buf_free(buf);
  }
}

void arc_buf_trim(struct arc_buf *buf) {
  if (buf->start == buf->end && buf->cap > BUF_MIN) {
    arc_buf_free(buf);
  }
}

size_t arc_buf_take(struct arc_buf *buf, void *to, size_t n) {
  size_t len = arc_buf_len(buf);
  size_t take = n < len ? n : len;
  if (take) {
    arc_copy(to, buf->data + buf->start, take);
    arc_buf_consume(buf, take);
  }
  return take;
}

void arc_buf_free(struct arc_buf *buf) {
  bool secret = buf->secret;
  wipe(buf);
  free(buf->data);
  memset(buf, 0, sizeof *buf);
  buf->secret = secret;
}

const uint8_t *arc_cursor_bytes(struct arc_cursor *cur, size_t n) {
  if (cur->failed || cur->left < n) {
    cur->failed = true;
    return NULL;
  }
  const uint8_t *at = cur->at;
  cur->at += n;
  cur->left -= n;
  return at;
}

static uint64_t big_endian(struct arc_cursor *cur, size_t n) {
  const uint8_t *at = arc_cursor_bytes(cur, n);
  uint64_t value = 0;
  for (size_t i = 0; at && i < n; i++) {
    value = value << 8 | at[i];
  }
  return value;
}

uint8_t arc_cursor_u8(struct arc_cursor *cur) {
  return (uint8_t)big_endian(cur, 1);
}

uint32_t arc_cursor_u32(struct arc_cursor *cur) {
  return (uint32_t)big_endian(cur, 4);
}

uint64_t arc_cursor_u64(struct arc_cursor *cur) { return big_endian(cur, 8); }

const uint8_t *arc_cursor_string(struct arc_cursor *cur, uint32_t *n) {
  *n = arc_cursor_u32(cur);
  return arc_cursor_bytes(cur, *n);
}
