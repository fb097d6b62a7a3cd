/* SPDX-License-Identifier: MIT */
#ifndef ARC_CURLSTREAM_H
#define ARC_CURLSTREAM_H

#include "net/dial.h"
#include "net/stream.h"

/* The stream of a connection that libcurl has made (CONNECT_ONLY): TLS, with
 * or without a proxy below it. Takes dial (heap) over. NULL with *err, and
 * dial is still the caller's. */
struct arc_stream *arc_curlstream_new(struct arc_dial *dial,
                                      struct arc_err **err);

#endif
