/* SPDX-License-Identifier: MIT */
#ifndef ARC_HEAP_H
#define ARC_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct arc_timer;

/* A binary heap of timers by due time; each knows its place, so that it can
 * leave at once. All zero is empty. */
struct arc_heap {
  struct arc_timer **slots;
  size_t count, cap;
};

bool arc_heap_insert(struct arc_heap *heap, struct arc_timer *timer);
void arc_heap_remove(struct arc_heap *heap, struct arc_timer *timer);
struct arc_timer *arc_heap_first(const struct arc_heap *heap); /* or NULL */
void arc_heap_free(struct arc_heap *heap);

#endif
