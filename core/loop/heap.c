/* SPDX-License-Identifier: MIT */
#include "loop/heap.h"

#include <stdlib.h>

#include "loop/loop.h"

static void place(struct arc_heap *heap, size_t at, struct arc_timer *timer) {
  heap->slots[at] = timer;
  timer->index = at + 1;
}

static void sift_up(struct arc_heap *heap, size_t at, struct arc_timer *timer) {
  while (at && heap->slots[(at - 1) / 2]->due > timer->due) {
    place(heap, at, heap->slots[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  place(heap, at, timer);
}

static void sift_down(struct arc_heap *heap, size_t at,
                      struct arc_timer *timer) {
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= heap->count) {
      break;
    }
    if (child + 1 < heap->count &&
        heap->slots[child + 1]->due < heap->slots[child]->due) {
      child++;
    }
    if (heap->slots[child]->due >= timer->due) {
      break;
    }
    place(heap, at, heap->slots[child]);
    at = child;
  }
  place(heap, at, timer);
}

bool arc_heap_insert(struct arc_heap *heap, struct arc_timer *timer) {
  if (heap->count == heap->cap) {
    size_t cap = heap->cap ? heap->cap * 2 : 64;
    struct arc_timer **slots = realloc(heap->slots, cap * sizeof(void *));
    if (!slots) {
      return false;
    }
    heap->slots = slots;
    heap->cap = cap;
  }
  sift_up(heap, heap->count++, timer);
  return true;
}

void arc_heap_remove(struct arc_heap *heap, struct arc_timer *timer) {
  size_t at = timer->index - 1;
  timer->index = 0;
  struct arc_timer *last = heap->slots[--heap->count];
  if (last == timer) {
    return;
  }
  if (at && heap->slots[(at - 1) / 2]->due > last->due) {
    sift_up(heap, at, last);
  } else {
    sift_down(heap, at, last);
  }
}

struct arc_timer *arc_heap_first(const struct arc_heap *heap) {
  return heap->count ? heap->slots[0] : NULL;
}

void arc_heap_free(struct arc_heap *heap) {
  free(heap->slots);
  heap->slots = NULL;
  heap->count = heap->cap = 0;
}
