/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "loop/loop.h"
#include "util/err.h"

static void run_notify(void *arg) {
  struct arc_op *op = arg;
  if (op->notify) {
    op->notify(op, op->notify_arg);
  }
}

static void too_late(void *arg) {
  struct arc_op *op = arg;
  arc_op_cancel(op, arc_err_at(arc_err_new(ARC_E_TIMEOUT, "timed out"),
                               op->cls->name, NULL));
}

void *arc_op_new(struct arc_loop *loop, const struct arc_op_class *cls,
                 size_t size, int64_t deadline) {
  struct arc_op *op = calloc(1, size);
  if (!op) {
    return NULL;
  }
  op->cls = cls;
  op->loop = loop;
  arc_ready_init(&op->ready, run_notify, op);
  arc_timer_start(loop, &op->timer, deadline, too_late, op);
  arc_loop_count(loop, ARC_N_OPS, 1);
  return op;
}

void arc_op_finish(struct arc_op *op, struct arc_err *err) {
  if (op->done) {
    arc_err_unref(err);
    return;
  }
  op->done = true;
  op->err = err ? arc_err_at(err, op->cls->name, NULL) : NULL;
  arc_timer_stop(op->loop, &op->timer);
  arc_ready_post(op->loop, &op->ready);
}

void arc_op_cancel(struct arc_op *op, struct arc_err *err) {
  if (!op->done && op->defer && op->defer(op, err)) {
    arc_err_unref(err);
    return;
  }
  if (!op->done && op->cls->detach) {
    op->cls->detach(op);
  }
  arc_op_finish(op, err);
}

void arc_op_free(struct arc_op *op) {
  if (!op) {
    return;
  }
  if (!op->done && op->cls->detach) {
    op->cls->detach(op);
  }
  arc_timer_stop(op->loop, &op->timer);
  arc_ready_cancel(op->loop, &op->ready);
  arc_err_unref(op->err);
  arc_loop_count(op->loop, ARC_N_OPS, -1);
  if (op->cls->destroy) {
    op->cls->destroy(op);
  } else {
    free(op);
  }
}

static void slept(void *arg) { arc_op_finish(arg, NULL); }

struct arc_op *arc_op_sleep(struct arc_loop *loop, int64_t due) {
  static const struct arc_op_class sleeping = {.name = "sleep"};
  struct arc_op *op = arc_op_new(loop, &sleeping, sizeof *op, ARC_FOREVER);
  if (op) {
    arc_timer_start(loop, &op->timer, due, slept, op);
  }
  return op;
}
