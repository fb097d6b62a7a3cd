/* SPDX-License-Identifier: MIT */
#ifndef ARC_ROOT_H
#define ARC_ROOT_H

#include <stdbool.h>
#include <sys/stat.h>

/* A directory, and what is done below it by relative paths ("a/b"; "" is the
 * directory itself). Unless it follows links, no part of a path may be "..",
 * empty or a symbolic link: nothing outside is ever reached, whatever names a
 * peer gives. All return 0 or a positive errno; ELOOP: a link is in the way,
 * EINVAL: the path is none of ours. */
struct arc_root;

int arc_root_open(const char *path, bool follow, struct arc_root **root);
void arc_root_close(struct arc_root *root); /* NULL is fine */

/* The descriptor of the directory that the path's last part is in, which stays
 * root's and is good until the next call; *name: that part. */
int arc_root_find(struct arc_root *root, const char *path, int *dir,
                  const char **name);
/* Opens a file; a link at the last place only when root follows. */
int arc_root_file(struct arc_root *root, const char *path, int flags,
                  mode_t mode, int *fd);
int arc_root_stat(struct arc_root *root, const char *path, bool follow,
                  struct stat *st);
int arc_root_rename(struct arc_root *root, const char *from, const char *to);

#endif
