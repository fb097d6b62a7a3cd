/* SPDX-License-Identifier: MIT */
#ifndef ARC_WSFRAME_H
#define ARC_WSFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/ws.h"
#include "util/buf.h"

enum { ARC_WS_CONTROL_MAX = 125 };

/* RFC 6455 §5.2 */
enum arc_wsopcode {
  ARC_WSOP_CONTINUATION = 0x0,
  ARC_WSOP_TEXT = 0x1,
  ARC_WSOP_BINARY = 0x2,
  ARC_WSOP_CLOSE = 0x8,
  ARC_WSOP_PING = 0x9,
  ARC_WSOP_PONG = 0xa
};

/* WebSocket frames without I/O, strict wherever RFC 6455 says MUST. A frame is
 * handed on as it comes, however long it says that it is. */
struct arc_wsframes;

struct arc_wsframes *arc_wsframes_new(enum arc_ws_role role);
void arc_wsframes_free(struct arc_wsframes *frames);

enum arc_wsevent {
  ARC_WS_MORE,  /* all that came is decoded */
  ARC_WS_FULL,  /* data has reached its mark */
  ARC_WS_PING,  /* control, n_control: its payload */
  ARC_WS_CLOSE, /* code (0 = none), control + 2: the reason text */
  ARC_WS_BAD    /* code to close with, why: static text; nothing follows */
};
struct arc_wsnews {
  int code;
  const char *why;
  uint8_t control[ARC_WS_CONTROL_MAX + 1]; /* NUL terminated */
  size_t n_control;
};

/* Takes bytes from raw, appends payload to data (up to `mark` bytes), until
 * something is to be told. */
enum arc_wsevent arc_wsframes_decode(struct arc_wsframes *frames,
                                     struct arc_buf *raw, struct arc_buf *data,
                                     size_t mark, struct arc_wsnews *news);
/* Appends one frame (fin set) to out; false without memory or randomness. */
bool arc_wsframes_encode(struct arc_wsframes *frames, struct arc_buf *out,
                         enum arc_wsopcode opcode, const void *payload,
                         size_t n);

#endif
