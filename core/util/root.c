/* SPDX-License-Identifier: MIT */
#include "util/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arc_root {
  int fd;
  bool follow;
  int last; /* descriptor of the directory found last; -1: none */
  char last_path[PATH_MAX]; /* its path below fd */
};

int arc_root_open(const char *path, bool follow, struct arc_root **root) {
  struct arc_root *r = calloc(1, sizeof *r);
  if (!r) {
    return ENOMEM;
  }
  r->follow = follow;
  r->last = -1;
  r->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (r->fd < 0) {
    int error = errno;
    free(r);
    return error;
  }
  *root = r;
  return 0;
}

static void forget(struct arc_root *r) {
  if (r->last >= 0) {
    close(r->last);
    r->last = -1;
  }
}

void arc_root_close(struct arc_root *r) {
  if (r) {
    forget(r);
    close(r->fd);
    free(r);
  }
}

static bool is_part(const char *part) {
  return *part && strcmp(part, ".") != 0 && strcmp(part, "..") != 0;
}

/* One step down, never through a link. 0 or an errno. */
static int step(int from, const char *part, int *to) {
  struct stat st;
  if (!is_part(part)) {
    return EINVAL;
  }
  *to = openat(from, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (*to >= 0) {
    return 0;
  }
  int error = errno;
  if (error == ENOTDIR && !fstatat(from, part, &st, AT_SYMLINK_NOFOLLOW) &&
      S_ISLNK(st.st_mode)) {
    return ELOOP;
  }
  return error;
}

/* The directory of this path, kept as the last one. */
static int walk(struct arc_root *r, const char *path, size_t n) {
  char copy[PATH_MAX];
  if (n >= sizeof copy) {
    return ENAMETOOLONG;
  }
  if (r->last >= 0 && strlen(r->last_path) == n &&
      !memcmp(r->last_path, path, n)) {
    return 0;
  }
  forget(r);
  memcpy(copy, path, n);
  copy[n] = '\0';
  int at = r->fd;
  int error = 0;
  for (char *part = copy, *end; part && !error; part = end) {
    int next = -1;
    end = strchr(part, '/');
    if (end) {
      *end++ = '\0';
    }
    error = step(at, part, &next);
    if (at != r->fd) {
      close(at);
    }
    at = next;
  }
  if (error) {
    return error;
  }
  r->last = at;
  snprintf(r->last_path, sizeof r->last_path, "%.*s", (int)n, path);
  return 0;
}

int arc_root_find(struct arc_root *r, const char *path, int *dir,
                  const char **name) {
  const char *slash = strrchr(path, '/');
  *dir = r->fd;
  *name = *path ? path : ".";
  if (!*path || r->follow) {
    return 0;
  }
  if (slash) {
    int error = walk(r, path, (size_t)(slash - path));
    if (error) {
      return error;
    }
    *dir = r->last;
    *name = slash + 1;
  }
  return is_part(*name) ? 0 : EINVAL;
}

int arc_root_file(struct arc_root *r, const char *path, int flags, mode_t mode,
                  int *fd) {
  int dir;
  const char *name;
  int error = arc_root_find(r, path, &dir, &name);
  if (error) {
    return error;
  }
  flags |= O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (r->follow ? 0 : O_NOFOLLOW);
  *fd = openat(dir, name, flags, mode);
  return *fd < 0 ? errno : 0;
}

int arc_root_stat(struct arc_root *r, const char *path, bool follow,
                  struct stat *st) {
  int dir;
  const char *name;
  int error = arc_root_find(r, path, &dir, &name);
  if (error) {
    return error;
  }
  return fstatat(dir, name, st, follow ? 0 : AT_SYMLINK_NOFOLLOW) ? errno : 0;
}

int arc_root_rename(struct arc_root *r, const char *from, const char *to) {
  int dir;
  const char *old, *name;
  int error = arc_root_find(r, from, &dir, &old);
  if (error) {
    return error;
  }
  int source = dup(dir); // the next may take its place
  if (source < 0) {
    return errno;
  }
  error = arc_root_find(r, to, &dir, &name);
  if (!error && renameat(source, old, dir, name)) {
    error = errno;
  }
  close(source);
  return error;
}
