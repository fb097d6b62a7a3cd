/* SPDX-License-Identifier: MIT */
#ifndef ARC_WORK_H
#define ARC_WORK_H

#include "loop/loop.h"

/* Something that blocks, done by a thread of libuv's pool: the first member of
 * a heap block. `run` may touch nothing but that block. */
struct arc_work {
  void (*run)(struct arc_work *work);
  void (*free)(struct arc_work *work); /* the block, too */
};

/* An operation that ends when the work has run. Who leaves it earlier leaves
 * the work to itself; the loop waits for it at its end. Takes work over, also
 * when it gives NULL for lack of memory. */
struct arc_op *arc_work_start(struct arc_loop *loop, const char *name,
                              struct arc_work *work);
/* The work of an operation that has run. */
struct arc_work *arc_work_of(struct arc_op *op);

#endif
