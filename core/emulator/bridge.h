/* SPDX-License-Identifier: MIT */
#ifndef ARC_BRIDGE_H
#define ARC_BRIDGE_H

#include "net/stream.h"

/* One of two WebSocket clients that a relay connects: its transport, the
 * upgrade done, and what came behind the upgrade's head (copied). */
struct arc_bridge_side {
  struct arc_stream *stream;
  const void *early;
  size_t n_early;
};

enum { ARC_BRIDGE_SENDER, ARC_BRIDGE_LISTENER };

struct arc_bridge_rules {
  size_t budget; /* bytes held a direction; then TCP pushes back */
  int64_t idle;  /* ms without a frame after which both are closed; 0 = any */
  int64_t patience; /* ms that a Close may be unanswered while nothing flows */
  bool reset;       /* pass an abort on as one, not as Close 1011 */
};

/* Passes frames on until both have ended; takes the streams over, also on
 * failure. Type, order and ends of messages, and the Close of either side with
 * its code and reason, arrive as they were sent; a frame may arrive in parts.
 * A Ping is answered here and goes no further. A Close is answered by the other
 * side's, or here when that is quiet for `patience`. NULL without memory. */
struct arc_op *arc_bridge(const struct arc_bridge_side sides[2],
                          const struct arc_bridge_rules *rules);

struct arc_bridge_report {
  uint64_t bytes[2]; /* payload that came from each */
  int first;         /* who ended it, -1 = nobody */
  int code;          /* of that Close; 1005 = none was in it, 1006 = abort */
  const char *how;   /* static: "close", "abort", "protocol", "idle" */
};
/* Of a finished op; the op's. */
const struct arc_bridge_report *arc_bridge_told(const struct arc_op *op);

#endif
