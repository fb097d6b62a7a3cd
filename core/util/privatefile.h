/* SPDX-License-Identifier: MIT */
#ifndef ARC_PRIVATEFILE_H
#define ARC_PRIVATEFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

struct arc_err;

/* Files that nobody else may read, in a directory that nobody else may write
 * to. No symbolic link is followed, what others own is refused. */

/* A descriptor of the directory in *fd; -1 without an error where it is
 * missing and not to be made (0700, with its parents). */
struct arc_err *arc_privatedir_open(const char *path, bool make, int *fd);
/* Appends a file of at most max bytes to `into`; a missing one adds nothing. */
struct arc_err *arc_privatefile_read(int dir, const char *name, size_t max,
                                     struct arc_buf *into);
/* Puts data in the place of a file, at once for whoever reads it; 0600. */
struct arc_err *arc_privatefile_write(int dir, const char *name,
                                      const void *data, size_t n);

/* The same by a writer that holds a lock, under a temporary name of its own;
 * it is on the disk when this has returned. */
struct arc_err *arc_privatefile_replace(int dir, const char *name,
                                        const char *fresh, const void *data,
                                        size_t n);

#endif
