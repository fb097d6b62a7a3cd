/* SPDX-License-Identifier: MIT */
#ifndef ARC_FDSTREAM_H
#define ARC_FDSTREAM_H

#include "net/stream.h"

/* A stream over a descriptor that poll(2) knows: socket, pipe, terminal; also
 * a regular file, which is always ready. Takes fd over and makes it
 * non-blocking; `out` is a second descriptor for writing (stdin and stdout
 * of a process), or -1 = the same. NULL without memory (fd is closed). */
struct arc_stream *arc_fdstream_new(struct arc_loop *loop, int fd, int out,
                                    const char *kind_name);
/* A stream over one of the process's own descriptors 0, 1, 2, which stays
 * open and keeps its flags for whoever shares it. out >= 0: fd is read, out
 * written. NULL without memory. */
struct arc_stream *arc_fdstream_stdio(struct arc_loop *loop, int fd, int out);
/* The terminal that controls the process, whatever stdin is. Without echo what
 * is typed stays unseen until the stream is closed. NULL with *err set when
 * there is none, without when there is no memory. */
struct arc_stream *arc_fdstream_terminal(struct arc_loop *loop, bool echo,
                                         struct arc_err **err);
/* Two connected streams. 0 or a negative errno. */
int arc_fdstream_pair(struct arc_loop *loop, struct arc_stream *pair[2]);

#endif
