/* SPDX-License-Identifier: MIT */
#ifndef ARC_FILES_H
#define ARC_FILES_H

#include <stddef.h>
#include <sys/types.h>

#include "util/buf.h"

/* Small file operations that never follow a symbolic link at the last place
 * of a path. All return 0 or a positive errno. */

/* Makes path and its missing parents; an existing directory is fine. */
int arc_mkdirs(const char *path, mode_t mode);
/* Writes all of data to a descriptor. */
int arc_write_all(int fd, const void *data, size_t n);
/* Replaces path by data: temporary name, fsync, rename. */
int arc_write_file(const char *path, const void *data, size_t n, mode_t mode);
/* Appends data in one write, under a lock of the file. */
int arc_append_file(const char *path, const void *data, size_t n, mode_t mode);
/* Appends the content of path to `into`; EFBIG when it has more than max. */
int arc_read_file(const char *path, size_t max, struct arc_buf *into);
/* Removes a file, a link or a whole tree: as much of it as it can, then the
 * first error. */
int arc_remove_tree(const char *path);

#endif
