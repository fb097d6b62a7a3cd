/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_PUMP_H
#define ARC_SSH_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "net/stream.h"
#include "ssh/greeting.h"
#include "util/buf.h"

/* libssh reads and writes a descriptor: one end of a socket pair, whose other
 * end is pumped to and from a stream. Both ends are ours, so the pump runs
 * whenever the session does and no event loop watches the pair. Full buffers
 * stop the side that fills them. */
struct arc_pump {
  struct arc_stream *stream; /* owned */
  int fd;                    /* our end of the pair; -1 = closed */
  struct arc_buf in;         /* from the stream, not yet in the pair */
  struct arc_buf out;        /* from the pair, not yet in the stream */
  struct arc_greeting greeting;
  uint64_t received;   /* bytes that the stream gave */
  bool ended;          /* the stream gives no more */
  struct arc_err *err; /* why, unless it was an orderly end; owned */
};

/* Takes the stream over, also on failure. *end is the end for libssh. 0 or a
 * negative errno. */
int arc_pump_open(struct arc_pump *pump, struct arc_stream *stream, int *end);
/* Moves what can be moved, both ways; true when anything was. */
bool arc_pump_run(struct arc_pump *pump);
/* fn(arg) runs from the drain when the stream may let it run on. */
void arc_pump_arm(struct arc_pump *pump, void (*fn)(void *), void *arg);
/* Lets the stream go: orderly, or (why set) as a reset. */
void arc_pump_close(struct arc_pump *pump, struct arc_err *why);

#endif
