/* SPDX-License-Identifier: MIT */
#ifndef ARC_LOOP_H
#define ARC_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct arc_err;

/* One event loop: a libuv loop, a queue of what is ready, a heap of timers.
 * libuv's and libraries' callbacks only post to the ready queue; the drain,
 * at depth 0 after each turn, runs what was posted. */
struct arc_loop;

/* Something to run from the drain. Embed it; zero it; post it any number of
 * times: it runs once per drain it is queued for. */
struct arc_ready {
  struct arc_ready *next, *prev; /* linked while queued */
  void (*fn)(void *arg);
  void *arg;
};

/* A timer. Embed it; zero it. Starting and stopping is immediate and needs no
 * close callback. `fn` runs from the drain. */
struct arc_timer {
  int64_t due;  /* ms on the loop's clock */
  size_t index; /* place in the heap + 1; 0 = not running */
  struct arc_ready ready;
};

enum { ARC_FOREVER = -1 }; /* a deadline that never comes */

struct arc_loop *arc_loop_new(void); /* NULL: no memory or descriptors */
/* Runs until no linger is left, then closes everything; all operations must
 * be gone. */
void arc_loop_free(struct arc_loop *loop);
uv_loop_t *arc_loop_uv(struct arc_loop *loop);

/* What a room keeps for the whole life of a loop (a cache, a library's
 * handle): first member of its struct, found by the name's address, freed by
 * its own function when the loop is. */
struct arc_part {
  const char *name;
  struct arc_part *next;
  void (*free)(struct arc_part *part);
};
void arc_loop_attach(struct arc_loop *loop, struct arc_part *part);
struct arc_part *arc_loop_part(struct arc_loop *loop, const char *name);

/* Waits for events (not when something is ready, or `wait` is false), then
 * drains. Returns false when nothing is left that could ever happen. */
bool arc_loop_turn(struct arc_loop *loop, bool wait);
/* True inside a turn: waiting there is an error. */
bool arc_loop_busy(const struct arc_loop *loop);

void arc_ready_init(struct arc_ready *ready, void (*fn)(void *), void *arg);
void arc_ready_post(struct arc_loop *loop, struct arc_ready *ready);
void arc_ready_cancel(struct arc_loop *loop, struct arc_ready *ready);

/* Milliseconds that only grow; runs `scale` times faster than the real ones.
 * All deadlines are on this clock. */
int64_t arc_loop_now(struct arc_loop *loop);
/* Seconds since 1970 on the scaled clock (tokens, expiries). */
double arc_loop_time(struct arc_loop *loop);
void arc_loop_set_scale(struct arc_loop *loop, double scale);
double arc_loop_scale(const struct arc_loop *loop);
/* Shifts arc_loop_time by seconds: specs of clock skew. */
void arc_loop_set_skew(struct arc_loop *loop, double seconds);
/* Seconds from now as a deadline; negative or huge = ARC_FOREVER. */
int64_t arc_loop_deadline(struct arc_loop *loop, double seconds);

void arc_timer_start(struct arc_loop *loop, struct arc_timer *timer,
                     int64_t due, void (*fn)(void *), void *arg);
void arc_timer_stop(struct arc_loop *loop, struct arc_timer *timer);

/* Counts of what is alive: a spec demands zero. `name` is static text. */
enum arc_count {
  ARC_N_STREAMS,
  ARC_N_OPS,
  ARC_N_LINGERS,
  ARC_N_CHILDREN,
  ARC_N_KINDS
};
void arc_loop_count(struct arc_loop *loop, enum arc_count kind, int delta);
int arc_loop_alive(const struct arc_loop *loop, enum arc_count kind);

/* An operation: something a task waits for. Heap block, owned by the waiter.
 * Finishes exactly once: by its source, its deadline or a cancel. */
struct arc_op;
struct arc_op_class {
  const char *name; /* "tcp.connect": the op of its errors */
  /* Leave the source (queue, library) at once; it will not touch the op any
   * more. Called when the op ends in any way other than arc_op_finish. */
  void (*detach)(struct arc_op *op);
  /* Free results and the block itself. NULL: free(). */
  void (*destroy)(struct arc_op *op);
};
struct arc_op {
  const struct arc_op_class *cls;
  struct arc_loop *loop;
  struct arc_timer timer;
  struct arc_ready ready;
  struct arc_err *err; /* owned; NULL = it went well */
  bool done;
  void (*notify)(struct arc_op *op, void *arg); /* the waiter, from the drain */
  void *notify_arg;
  /* Set by the source, or NULL: asked by a cancel before it ends the op. True:
   * the source winds up first (a few seconds at most) and then finishes the op
   * itself. why is borrowed. */
  bool (*defer)(struct arc_op *op, struct arc_err *why);
};

/* Zeroed block of `size` (whose first member is the op), or NULL. */
void *arc_op_new(struct arc_loop *loop, const struct arc_op_class *cls,
                 size_t size, int64_t deadline);
/* Called by the source. Takes over err. Posts the waiter. */
void arc_op_finish(struct arc_op *op, struct arc_err *err);
/* Called by the waiter: detach, then finish with err (taken over), unless the
 * op defers that. No effect when already done (err is dropped). */
void arc_op_cancel(struct arc_op *op, struct arc_err *err);
/* Called by the waiter, at any time. */
void arc_op_free(struct arc_op *op);
/* An op that does nothing but end with success at `due`. */
struct arc_op *arc_op_sleep(struct arc_loop *loop, int64_t due);

#endif
