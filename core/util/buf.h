/* SPDX-License-Identifier: MIT */
#ifndef ARC_BUF_H
#define ARC_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A queue of bytes: appended at the end, consumed at the front. All zero is a
 * valid empty buffer. */
struct arc_buf {
  uint8_t *data;
  size_t start; /* first unread byte */
  size_t end;   /* one past the last byte */
  size_t cap;
  bool secret; /* wipe what is freed or moved */
};

size_t arc_buf_len(const struct arc_buf *buf);
/* The unread bytes; valid until the buffer changes; never NULL. */
const uint8_t *arc_buf_head(const struct arc_buf *buf);
/* Room for n bytes at the end, or NULL without memory; arc_buf_commit adds
 * what was written there. */
uint8_t *arc_buf_reserve(struct arc_buf *buf, size_t n);
void arc_buf_commit(struct arc_buf *buf, size_t n);
/* False when out of memory; the buffer is then unchanged. */
bool arc_buf_append(struct arc_buf *buf, const void *data, size_t n);
/* As SSH writes them (RFC 4251, 5): four bytes, big endian; a length so and
 * then the bytes. */
bool arc_buf_u32(struct arc_buf *buf, uint32_t number);
bool arc_buf_string(struct arc_buf *buf, const void *bytes, size_t n);
bool arc_buf_text(struct arc_buf *buf, const char *text);
bool arc_buf_format(struct arc_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Drops n bytes (at most all) from the front. */
void arc_buf_consume(struct arc_buf *buf, size_t n);
/* Copies out and drops up to n bytes; returns how many. */
size_t arc_buf_take(struct arc_buf *buf, void *to, size_t n);
/* Before a wait: an empty buffer gives its memory back. */
void arc_buf_trim(struct arc_buf *buf);
void arc_buf_free(struct arc_buf *buf);
/* memcpy of much, in pieces: from 4 KB on glibc takes `rep movsb`, which on AMD
 * Zen is 20 times slower when the target lies up to 63 bytes behind the source
 * within their pages, as buffers of equal size and headers make it. */
void arc_copy(void *to, const void *from, size_t n);

/* A cursor over bytes that a peer sent: every read is checked, a read past the
 * end returns zeros and sets `failed`, which stays set. */
struct arc_cursor {
  const uint8_t *at;
  size_t left;
  bool failed;
};

uint8_t arc_cursor_u8(struct arc_cursor *cur);
uint32_t arc_cursor_u32(struct arc_cursor *cur); /* big endian */
uint64_t arc_cursor_u64(struct arc_cursor *cur);
/* n bytes, or NULL with `failed` set. */
const uint8_t *arc_cursor_bytes(struct arc_cursor *cur, size_t n);
/* The bytes (*n of them) behind a length of four bytes; NULL as above. */
const uint8_t *arc_cursor_string(struct arc_cursor *cur, uint32_t *n);

#endif
