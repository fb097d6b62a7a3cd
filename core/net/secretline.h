/* SPDX-License-Identifier: MIT */
#ifndef ARC_SECRETLINE_H
#define ARC_SECRETLINE_H

#include "net/stream.h"

struct arc_secret;

/* Reads the first line of a stream (a terminal, a program's output), without
 * its end, into wiped memory; takes the stream over and closes it. A line that
 * is too long is `limit`, an end before any byte `closed`. NULL without
 * memory. */
struct arc_op *arc_secretline(struct arc_stream *s);
/* The line of one that has ended well; the caller owns it. */
struct arc_secret *arc_secretline_take(struct arc_op *op);

#endif
