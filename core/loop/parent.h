/* SPDX-License-Identifier: MIT */
#ifndef ARC_PARENT_H
#define ARC_PARENT_H

#include "loop/loop.h"

/* An operation that ends when the process that started us has ended; at once
 * when it has already. NULL without memory. */
struct arc_op *arc_parent_wait(struct arc_loop *loop);

#endif
