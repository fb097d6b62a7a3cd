/* SPDX-License-Identifier: MIT */
#ifndef ARC_SPLICE_H
#define ARC_SPLICE_H

#include "net/stream.h"

/* Copies both ways until both directions have ended; an end is passed on as
 * shutdown, an error as abort of both. Takes both streams over (also when it
 * returns NULL for want of memory). Fails with the error that ended it. */
struct arc_op *arc_splice(struct arc_stream *a, struct arc_stream *b);
/* The end of b, once all it sent is written, is the end of the copy: what a
 * could still say would reach nobody. */
void arc_splice_follow(struct arc_op *op);

#endif
