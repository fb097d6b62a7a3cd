/* SPDX-License-Identifier: MIT */
#ifndef ARC_SECRETFILE_H
#define ARC_SECRETFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/secret.h"

struct arc_err;

/* The whole of a regular file of at most max bytes, and whose it is. A symbolic
 * link is followed only when asked for. NULL, or the error: `limit` for a
 * larger one. Waits for the disk only: a FIFO is refused, not opened for good.
 */
struct arc_err *arc_secretfile_read(const char *path, size_t max, bool follow,
                                    struct arc_secret **into, uid_t *owner);

#endif
