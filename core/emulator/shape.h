/* SPDX-License-Identifier: MIT */
#ifndef ARC_SHAPE_H
#define ARC_SHAPE_H

#include "net/stream.h"

/* What a line does to bytes; each direction on its own. */
struct arc_line {
  double latency; /* ms, one way */
  double rate;    /* bytes a ms; 0 = as fast as they come */
  size_t absorbs; /* bytes on their way before the line pushes back */
  double opens;   /* ms until the first byte sets out to us: what the peer
                     must hear first, as TCP's handshake, which the kernel has
                     answered at once */
};

/* A stream over transport (taken over, also on failure) whose bytes, end and
 * reset travel as the line says, on the loop's clock. NULL without memory. */
struct arc_stream *arc_shape_new(struct arc_stream *transport,
                                 const struct arc_line *line);

#endif
