/* SPDX-License-Identifier: MIT */
#include "util/secretfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"

/* Up to max + 1 bytes; how many, or a negated errno. */
static ssize_t read_all(int fd, char *text, size_t max) {
  size_t got = 0;
  while (got <= max) {
    ssize_t n = read(fd, text + got, max + 1 - got);
    if (n < 0 && errno != EINTR) {
      return -errno;
    }
    if (n == 0) {
      break;
    }
    got += n > 0 ? (size_t)n : 0;
  }
  return got > max ? -EFBIG : (ssize_t)got;
}

static int read_open(int fd, size_t max, struct arc_secret **into,
                     uid_t *owner) {
  struct stat st;
  if (fstat(fd, &st)) {
    return -errno;
  }
  if (!S_ISREG(st.st_mode)) {
    return -EINVAL;
  }
  char *text = malloc(max + 1);
  if (!text) {
    return -ENOMEM;
  }
  ssize_t n = read_all(fd, text, max);
  *owner = st.st_uid;
  *into = n >= 0 ? arc_secret_new(text, (size_t)n) : NULL;
  explicit_bzero(text, max + 1);
  free(text);
  return n < 0 ? (int)n : *into ? 0 : -ENOMEM;
}

struct arc_err *arc_secretfile_read(const char *path, size_t max, bool follow,
                                    struct arc_secret **into, uid_t *owner) {
  int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW);
  int fd = open(path, flags);
  int failed = fd < 0 ? -errno : read_open(fd, max, into, owner);
  if (fd >= 0) {
    close(fd);
  }
  if (failed == -EFBIG) {
    return arc_err_new(ARC_E_LIMIT, "read %s: it has more than %zu bytes", path,
                       max);
  }
  if (failed == -EINVAL) {
    return arc_err_new(ARC_E_CONFIG, "read %s: it is no regular file", path);
  }
  return failed ? arc_err_errno(failed, "read %s", path) : NULL;
}
