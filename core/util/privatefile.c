/* SPDX-License-Identifier: MIT */
#include "util/privatefile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"
#include "util/files.h"

enum { STEP = 16 * 1024, NAME_SIZE = 32 };

static struct arc_err *unsafe(const char *name, const char *what) {
  return arc_err_new(ARC_E_CONFIG, "%s: %s", name, what);
}

static struct arc_err *check_dir(int fd, const char *path) {
  struct stat st;
  if (fstat(fd, &st)) {
    return arc_err_errno(-errno, "stat %s", path);
  }
  if (st.st_uid != geteuid()) {
    return unsafe(path, "the directory belongs to another user");
  }
  return st.st_mode & (S_IWGRP | S_IWOTH)
             ? unsafe(path, "others may write to the directory: chmod 700 it")
             : NULL;
}

struct arc_err *arc_privatedir_open(const char *path, bool make, int *fd) {
  int error = make ? arc_mkdirs(path, S_IRWXU) : 0;
  *fd = -1;
  if (error) {
    return arc_err_errno(-error, "make %s", path);
  }
  *fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (*fd < 0) {
    return errno == ENOENT && !make ? NULL
                                    : arc_err_errno(-errno, "open %s", path);
  }
  struct arc_err *err = check_dir(*fd, path);
  if (err) {
    close(*fd);
    *fd = -1;
  }
  return err;
}

static struct arc_err *check_file(int fd, const char *name) {
  struct stat st;
  if (fstat(fd, &st)) {
    return arc_err_errno(-errno, "stat %s", name);
  }
  if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
    return unsafe(name, "not a file of yours");
  }
  return st.st_mode & (S_IRWXG | S_IRWXO)
             ? unsafe(name, "others may read it: chmod 600 it")
             : NULL;
}

static int read_all(int fd, size_t max, struct arc_buf *into) {
  size_t before = arc_buf_len(into);
  for (;;) {
    uint8_t *room = arc_buf_reserve(into, STEP);
    ssize_t n = room ? read(fd, room, STEP) : -1;
    if (n < 0 && room && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return n == 0 ? 0 : room ? errno : ENOMEM;
    }
    arc_buf_commit(into, (size_t)n);
    if (arc_buf_len(into) - before > max) {
      return EFBIG;
    }
  }
}

struct arc_err *arc_privatefile_read(int dir, const char *name, size_t max,
                                     struct arc_buf *into) {
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    return errno == ENOENT ? NULL : arc_err_errno(-errno, "open %s", name);
  }
  struct arc_err *err = check_file(fd, name);
  if (!err) {
    int error = read_all(fd, max, into);
    err = error ? arc_err_errno(-error, "read %s", name) : NULL;
  }
  close(fd);
  return err;
}

/* Writes a new file under a name that nobody has: 0 or a positive errno. */
static int write_new(int dir, const char *name, const void *data, size_t n,
                     bool sync) {
  int fd =
      openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
             S_IRUSR | S_IWUSR);
  if (fd < 0) {
    return errno;
  }
  int error = arc_write_all(fd, data, n);
  if (!error && sync && fsync(fd)) {
    error = errno;
  }
  return close(fd) && !error ? errno : error;
}

/* Ends a write: the new file takes the old one's place, or goes. */
static struct arc_err *settle(int dir, const char *fresh, const char *name,
                              int error) {
  if (!error && renameat(dir, fresh, dir, name)) {
    error = errno;
  }
  if (error) {
    unlinkat(dir, fresh, 0);
  }
  return error ? arc_err_errno(-error, "write %s", name) : NULL;
}

struct arc_err *arc_privatefile_write(int dir, const char *name,
                                      const void *data, size_t n) {
  char fresh[NAME_SIZE];
  uint64_t random = 0;
  if (getrandom(&random, sizeof random, 0) != sizeof random) {
    return arc_err_errno(-errno, "write %s", name);
  }
  snprintf(fresh, sizeof fresh, "new-%016" PRIx64, random);
  return settle(dir, fresh, name, write_new(dir, fresh, data, n, false));
}

struct arc_err *arc_privatefile_replace(int dir, const char *name,
                                        const char *fresh, const void *data,
                                        size_t n) {
  unlinkat(dir, fresh, 0); // of one that died
  struct arc_err *err =
      settle(dir, fresh, name, write_new(dir, fresh, data, n, true));
  if (!err && fsync(dir)) {
    err = arc_err_errno(-errno, "write %s", name);
  }
  return err;
}
