/* SPDX-License-Identifier: MIT */
#ifndef ARC_SECRETREQUEST_H
#define ARC_SECRETREQUEST_H

#include "net/stream.h"

struct arc_secret;

/* Reads one HTTP request, its head and the body that a Content-Length
 * announces, into wiped memory; what comes behind it is dropped. Takes the
 * stream over. A head of more than 16 KB or a body of more than 64 KB is
 * `limit`, an end before its end `closed`. NULL without memory. */
struct arc_op *arc_secretrequest(struct arc_stream *s);
/* The request of one that has ended well, and its stream: the caller owns
 * both. */
struct arc_secret *arc_secretrequest_take(struct arc_op *op,
                                          struct arc_stream **s);

#endif
