/* SPDX-License-Identifier: MIT */
#ifndef ARC_UNIX_H
#define ARC_UNIX_H

#include <stdbool.h>

#include "net/tcp.h"

/* Sockets that have a path. */

/* A non-blocking connection to the socket at path: a descriptor that the caller
 * owns, or a negative errno. */
int arc_unix_dial(const char *path);
/* The same as a stream; NULL with *err set. */
struct arc_stream *arc_unix_connect(struct arc_loop *loop, const char *path,
                                    struct arc_err **err);
/* A listening socket at path, whose mode has none of mask's bits; its file goes
 * when it is closed. With replace a socket that is there is taken away first.
 * NULL with *err set. */
struct arc_listener *arc_unix_listen(struct arc_loop *loop, const char *path,
                                     unsigned mask, bool replace,
                                     struct arc_err **err);

#endif
