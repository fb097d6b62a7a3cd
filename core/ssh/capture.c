/* SPDX-License-Identifier: MIT */
#include "ssh/capture.h"

#include <stdlib.h>
#include <string.h>

static size_t head_max(const struct arc_capture *c) {
  return c->max - c->max / 2;
}

static size_t ring_max(const struct arc_capture *c) { return c->max / 2; }

static void add_ring(struct arc_capture *c, const uint8_t *data, size_t n) {
  size_t cap = ring_max(c);
  if (!cap || (!c->ring && !(c->ring = malloc(cap)))) {
    return;
  }
  if (n > cap) {
    data += n - cap;
    n = cap;
  }
  while (n) {
    size_t part = cap - c->at < n ? cap - c->at : n;
    memcpy(c->ring + c->at, data, part);
    c->at = (c->at + part) % cap;
    data += part;
    n -= part;
  }
}

void arc_capture_add(struct arc_capture *c, const void *data, size_t n) {
  size_t have = arc_buf_len(&c->head);
  size_t room = head_max(c) - have;
  size_t first = room < n ? room : n;
  c->total += n;
  if (first && !arc_buf_append(&c->head, data, first)) {
    return;
  }
  if (n > first) {
    add_ring(c, (const uint8_t *)data + first, n - first);
  }
}

/* Bytes that the ring holds. */
static size_t ring_used(const struct arc_capture *c) {
  uint64_t past = c->total - arc_buf_len(&c->head);
  if (!c->ring) {
    return 0;
  }
  return past < ring_max(c) ? (size_t)past : ring_max(c);
}

uint64_t arc_capture_dropped(const struct arc_capture *c) {
  return c->total - arc_buf_len(&c->head) - ring_used(c);
}

const uint8_t *arc_capture_part(const struct arc_capture *c, int part,
                                size_t *n) {
  size_t used = ring_used(c);
  size_t start = used < ring_max(c) ? 0 : c->at;
  size_t upto = ring_max(c) - start < used ? ring_max(c) - start : used;
  switch (part) {
  case 0:
    *n = arc_buf_len(&c->head);
    return arc_buf_head(&c->head);
  case 1:
    *n = upto;
    return c->ring ? c->ring + start : arc_buf_head(&c->head);
  default:
    *n = used - upto;
    return c->ring ? c->ring : arc_buf_head(&c->head);
  }
}

void arc_capture_free(struct arc_capture *c) {
  arc_buf_free(&c->head);
  free(c->ring);
  c->ring = NULL;
}
