/* SPDX-License-Identifier: MIT */
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop/heap.h"
#include "util/err.h"

enum { ROUNDS = 4 }; /* of the ready queue in one turn */

struct arc_loop {
  uv_loop_t uv;
  uv_timer_t alarm;       /* rings at the first timer of the heap */
  struct arc_ready ready; /* head of the circular queue */
  struct arc_heap timers;
  bool busy;
  double scale;
  double skew;   /* seconds */
  uint64_t real; /* uv_hrtime at which ... */
  double scaled; /* ... the clock showed so many ms */
  double epoch;  /* wall seconds when the clock showed 0 */
  int alive[ARC_N_KINDS];
  struct arc_part *parts; /* the newest first */
};

static void list_init(struct arc_ready *head) {
  head->next = head->prev = head;
}

static void list_remove(struct arc_ready *item) {
  item->prev->next = item->next;
  item->next->prev = item->prev;
  item->next = item->prev = NULL;
}

static void list_append(struct arc_ready *head, struct arc_ready *item) {
  item->prev = head->prev;
  item->next = head;
  head->prev->next = item;
  head->prev = item;
}

static double clock_ms(const struct arc_loop *loop) {
  return loop->scaled + (double)(uv_hrtime() - loop->real) / 1e6 * loop->scale;
}

struct arc_loop *arc_loop_new(void) {
  struct arc_loop *loop = calloc(1, sizeof *loop);
  if (!loop) {
    return NULL;
  }
  if (uv_loop_init(&loop->uv)) {
    free(loop);
    return NULL;
  }
  uv_timer_init(&loop->uv, &loop->alarm);
  loop->alarm.data = loop;
  list_init(&loop->ready);
  struct timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  loop->epoch = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9;
  loop->scale = 1;
  loop->real = uv_hrtime();
  return loop;
}

static void close_rest(uv_handle_t *handle, void *arg) {
  (void)arg;
  if (!uv_is_closing(handle)) {
    uv_close(handle, NULL);
  }
}

void arc_loop_free(struct arc_loop *loop) {
  if (!loop) {
    return;
  }
  while (loop->alive[ARC_N_LINGERS] && arc_loop_turn(loop, true)) {
  }
  while (loop->parts) {
    struct arc_part *part = loop->parts;
    loop->parts = part->next;
    part->free(part);
  }
  uv_walk(&loop->uv, close_rest, NULL); // what was forgotten must not hang us
  while (uv_run(&loop->uv, UV_RUN_ONCE)) { // a name that is being resolved
  }
  uv_loop_close(&loop->uv);
  arc_heap_free(&loop->timers);
  free(loop);
}

uv_loop_t *arc_loop_uv(struct arc_loop *loop) { return &loop->uv; }

void arc_loop_attach(struct arc_loop *loop, struct arc_part *part) {
  part->next = loop->parts;
  loop->parts = part;
}

struct arc_part *arc_loop_part(struct arc_loop *loop, const char *name) {
  struct arc_part *part = loop->parts;
  while (part && part->name != name) {
    part = part->next;
  }
  return part;
}

bool arc_loop_busy(const struct arc_loop *loop) { return loop->busy; }

/* One round; what is posted meanwhile waits for the next. */
static void drain_round(struct arc_loop *loop) {
  struct arc_ready batch = loop->ready;
  batch.next->prev = &batch;
  batch.prev->next = &batch;
  list_init(&loop->ready);
  while (batch.next != &batch) {
    struct arc_ready *item = batch.next;
    list_remove(item);
    item->fn(item->arg); // may free item, cancel others, post anew
  }
}

/* Bytes go through several layers of streams, each posting the next: some
 * rounds, before the descriptors are asked again. */
static void drain(struct arc_loop *loop) {
  for (int i = 0; i < ROUNDS && loop->ready.next != &loop->ready; i++) {
    drain_round(loop);
  }
}

bool arc_loop_turn(struct arc_loop *loop, bool wait) {
  bool posted = loop->ready.next != &loop->ready;
  if (!posted && !uv_loop_alive(&loop->uv) && !loop->timers.count) {
    return false;
  }
  loop->busy = true;
  uv_run(&loop->uv, wait && !posted ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  drain(loop);
  loop->busy = false;
  return true;
}

void arc_ready_init(struct arc_ready *ready, void (*fn)(void *), void *arg) {
  ready->next = ready->prev = NULL;
  ready->fn = fn;
  ready->arg = arg;
}

void arc_ready_post(struct arc_loop *loop, struct arc_ready *ready) {
  if (!ready->next) {
    list_append(&loop->ready, ready);
  }
}

void arc_ready_cancel(struct arc_loop *loop, struct arc_ready *ready) {
  (void)loop;
  if (ready->next) {
    list_remove(ready);
  }
}

int64_t arc_loop_now(struct arc_loop *loop) { return (int64_t)clock_ms(loop); }

double arc_loop_time(struct arc_loop *loop) {
  return loop->epoch + clock_ms(loop) / 1000 + loop->skew;
}

void arc_loop_set_skew(struct arc_loop *loop, double seconds) {
  loop->skew = seconds;
}

double arc_loop_scale(const struct arc_loop *loop) { return loop->scale; }

int64_t arc_loop_deadline(struct arc_loop *loop, double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) {
    return ARC_FOREVER;
  }
  return arc_loop_now(loop) + (int64_t)(seconds * 1000);
}

static void set_alarm(struct arc_loop *loop);

static void ring(uv_timer_t *alarm) {
  struct arc_loop *loop = alarm->data;
  int64_t now = arc_loop_now(loop);
  struct arc_timer *first = arc_heap_first(&loop->timers);
  while (first && first->due <= now) {
    arc_heap_remove(&loop->timers, first);
    arc_ready_post(loop, &first->ready);
    first = arc_heap_first(&loop->timers);
    uv_stop(&loop->uv); // timers run before the poll, which must not wait now
  }
  set_alarm(loop);
}

static void set_alarm(struct arc_loop *loop) {
  struct arc_timer *first = arc_heap_first(&loop->timers);
  if (!first) {
    uv_timer_stop(&loop->alarm);
    return;
  }
  double left = ((double)first->due - clock_ms(loop)) / loop->scale;
  uv_update_time(&loop->uv);
  uv_timer_start(&loop->alarm, ring, left > 0 ? (uint64_t)left + 1 : 0, 0);
}

void arc_loop_set_scale(struct arc_loop *loop, double scale) {
  loop->scaled = clock_ms(loop);
  loop->real = uv_hrtime();
  loop->scale = scale;
  set_alarm(loop);
}

void arc_timer_start(struct arc_loop *loop, struct arc_timer *timer,
                     int64_t due, void (*fn)(void *), void *arg) {
  arc_timer_stop(loop, timer);
  if (due == ARC_FOREVER) {
    return;
  }
  arc_ready_init(&timer->ready, fn, arg);
  timer->due = due;
  if (!arc_heap_insert(&loop->timers, timer)) {
    arc_ready_post(loop, &timer->ready); // no memory: early beats never
    return;
  }
  if (arc_heap_first(&loop->timers) == timer) {
    set_alarm(loop);
  }
}

void arc_timer_stop(struct arc_loop *loop, struct arc_timer *timer) {
  if (timer->index) {
    bool first = arc_heap_first(&loop->timers) == timer;
    arc_heap_remove(&loop->timers, timer);
    if (first) {
      set_alarm(loop);
    }
  }
  arc_ready_cancel(loop, &timer->ready);
}

void arc_loop_count(struct arc_loop *loop, enum arc_count kind, int delta) {
  loop->alive[kind] += delta;
}

int arc_loop_alive(const struct arc_loop *loop, enum arc_count kind) {
  return loop->alive[kind];
}
