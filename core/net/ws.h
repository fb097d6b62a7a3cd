/* SPDX-License-Identifier: MIT */
#ifndef ARC_WS_H
#define ARC_WS_H

#include <stddef.h>

#include "loop/loop.h"
#include "net/stream.h"

enum arc_ws_role { ARC_WS_CLIENT, ARC_WS_SERVER };

/* A stream of bytes carried in binary WebSocket messages (RFC 6455) over
 * transport, whose upgrade is done. Takes transport over, also on failure.
 * early: bytes that came behind the upgrade's head; copied. Returns NULL
 * without memory.
 *
 * shutdown sends Close 1000 and goes on reading; the peer's Close 1000, 1005
 * or without a code is the orderly end; any other code fails the stream with
 * relay.reset and status = the code; an end of the transport without a Close
 * is a failure too. Framing errors answer Close 1002 (1003, 1007) and fail
 * with "protocol". Messages of one write are at most 32 KiB; small writes of
 * one turn leave together.
 *
 * A ping goes out every 30 s. The peer is dead (relay.reset) when nothing came
 * for 90 s, and for 1 s more for each 32 KiB sent meanwhile, up to 16 MiB: that
 * much may stand in front of our pings. A transport that is held up (see
 * arc_stream_held_up) is alive, and so is a peer whom our own reader keeps
 * waiting. After shutdown it has 10 s, counted anew whenever bytes move. */
struct arc_stream *arc_ws_new(struct arc_loop *loop,
                              struct arc_stream *transport,
                              enum arc_ws_role role, const void *early,
                              size_t n_early, const char *name);
/* Sends Close with this code (1001, 1008, 1011, ...) and a reason text of at
 * most 123 bytes, then behaves as after shutdown. */
void arc_ws_close_with(struct arc_stream *ws, int code, const char *reason);

#endif
