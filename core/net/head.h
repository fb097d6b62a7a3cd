/* SPDX-License-Identifier: MIT */
#ifndef ARC_HEAD_H
#define ARC_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARC_HEAD_LINE_MAX = 4096, ARC_HEAD_MAX = 32 * 1024 };

enum arc_head_state {
  ARC_HEAD_MORE, /* not whole yet */
  ARC_HEAD_DONE,
  ARC_HEAD_BAD,      /* not HTTP/1, or against its grammar */
  ARC_HEAD_TOO_LARGE /* `status` and a cut `reason` are set when they came */
};

struct arc_span {
  const char *at;
  size_t len;
};

/* The head of an HTTP/1 response. All spans point into the bytes parsed. */
struct arc_head {
  size_t scanned;         /* no end of the head before here; begins at 0 */
  size_t length;          /* with its empty line */
  int minor;              /* HTTP/1.x */
  int status;             /* 100 to 599 */
  struct arc_span reason; /* whole, may hold control bytes but CR LF NUL */
  struct arc_span fields;
};

/* Parses what has come so far, from its first byte on; call again with more.
 * Strict: CRLF only, no folded lines, no NUL. Zero head first. */
enum arc_head_state arc_head_parse(struct arc_head *head, const uint8_t *bytes,
                                   size_t n);
/* The fields, one after the other: *at begins at 0; false at the end. */
bool arc_head_next(const struct arc_head *head, size_t *at,
                   struct arc_span *name, struct arc_span *value);
/* How many fields have that name (any case); *value is the last one's. */
int arc_head_field(const struct arc_head *head, const char *name,
                   struct arc_span *value);
/* Is word one of the comma-separated tokens (any case)? */
bool arc_span_lists(struct arc_span span, const char *word);
bool arc_span_equals(struct arc_span span, const char *text); /* any case */

#endif
