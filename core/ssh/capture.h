/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_CAPTURE_H
#define ARC_SSH_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

/* Keeps the first and the last half of max bytes of an output, and counts
 * what lay between. Zero but for max is a valid empty one. */
struct arc_capture {
  size_t max;
  struct arc_buf head;
  uint8_t *ring; /* the last bytes, once the head is full */
  size_t at;     /* where the ring's next byte goes */
  uint64_t total;
};

void arc_capture_add(struct arc_capture *capture, const void *data, size_t n);
/* Bytes that came and are not kept. */
uint64_t arc_capture_dropped(const struct arc_capture *capture);
/* What is kept is part 0, then 1, then 2. */
const uint8_t *arc_capture_part(const struct arc_capture *capture, int part,
                                size_t *n);
void arc_capture_free(struct arc_capture *capture);

#endif
