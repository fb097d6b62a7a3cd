/* SPDX-License-Identifier: MIT */
#include "emulator/frameq.h"

#include <stdlib.h>
#include <string.h>

/* Small frames share a small block; a stream of large ones fills large blocks,
 * so that TLS makes full records of them. */
enum { SMALL = 2048, SMALL_BLOCK = 4096, LARGE_BLOCK = 64 * 1024 };

struct arc_block {
  struct arc_block *next;
  size_t sent, used, size;
  bool control;
  uint8_t data[];
};

static struct arc_block *new_block(size_t need) {
  size_t size = need < SMALL ? SMALL_BLOCK : LARGE_BLOCK;
  size = size < need ? need : size;
  struct arc_block *block = malloc(sizeof *block + size);
  if (block) {
    *block = (struct arc_block){.size = size};
  }
  return block;
}

static struct arc_block *room_for(struct arc_frameq *q, size_t need) {
  struct arc_block *last = q->last;
  if (last && last->size - last->used >= need) {
    return last;
  }
  struct arc_block *block = new_block(need);
  if (!block) {
    return NULL;
  }
  if (last) {
    last->next = block;
  } else {
    q->first = block;
  }
  q->last = block;
  return block;
}

static uint8_t *put(struct arc_frameq *q, struct arc_block *block,
                    const struct arc_wshead *head) {
  size_t start = block->used;
  block->used += arc_wshead_write(block->data + start, head);
  uint8_t *payload = block->data + block->used;
  block->used += head->length;
  q->bytes += block->used - start;
  return payload;
}

uint8_t *arc_frameq_add(struct arc_frameq *q, const struct arc_wshead *head) {
  struct arc_block *block = room_for(q, ARC_WSHEAD_MAX + head->length);
  return block ? put(q, block, head) : NULL;
}

bool arc_frameq_soon(struct arc_frameq *q, uint8_t opcode, const void *payload,
                     size_t n) {
  struct arc_wshead head = {.fin = true, .opcode = opcode, .length = n};
  struct arc_block *block = new_block(ARC_WSHEAD_MAX + n);
  if (!block) {
    return false;
  }
  memcpy(put(q, block, &head), payload, n);
  block->size = block->used; // nothing is to be added behind it
  block->control = true;
  q->control = true;
  if (q->first) {
    block->next = q->first->next;
    q->first->next = block;
  } else {
    q->first = block;
  }
  q->last = block->next ? q->last : block;
  return true;
}

static void drop_first(struct arc_frameq *q) {
  struct arc_block *block = q->first;
  q->first = block->next;
  q->last = q->first ? q->last : NULL;
  q->control = q->control && !block->control;
  free(block);
}

ssize_t arc_frameq_flush(struct arc_frameq *q, struct arc_stream *to) {
  while (q->first) {
    struct arc_block *block = q->first;
    ssize_t n = arc_stream_write(to, block->data + block->sent,
                                 block->used - block->sent);
    if (n < 0) {
      return n;
    }
    block->sent += (size_t)n;
    q->bytes -= (size_t)n;
    if (block->sent == block->used) {
      drop_first(q);
    }
  }
  return 0;
}

void arc_frameq_free(struct arc_frameq *q) {
  while (q->first) {
    drop_first(q);
  }
  q->bytes = 0;
}
