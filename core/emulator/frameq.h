/* SPDX-License-Identifier: MIT */
#ifndef ARC_FRAMEQ_H
#define ARC_FRAMEQ_H

#include "net/stream.h"
#include "net/wshead.h"

struct arc_block;

/* Frames on their way into a stream, in blocks of whole frames. All zero is
 * empty. What has left is given back at once: an idle one holds nothing. */
struct arc_frameq {
  struct arc_block *first, *last;
  size_t bytes;
  bool control; /* one of arc_frameq_soon is still in it */
};

/* Appends a frame's head and makes room for its head->length bytes of payload,
 * which the caller writes before anything else is done. NULL without memory. */
uint8_t *arc_frameq_add(struct arc_frameq *q, const struct arc_wshead *head);
/* Puts a control frame before all that has not begun to leave. */
bool arc_frameq_soon(struct arc_frameq *q, uint8_t opcode, const void *payload,
                     size_t n);
/* Writes: 0 = all has left, ARC_AGAIN, ARC_FAILED. */
ssize_t arc_frameq_flush(struct arc_frameq *q, struct arc_stream *to);
void arc_frameq_free(struct arc_frameq *q);

#endif
