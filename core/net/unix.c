/* SPDX-License-Identifier: MIT */
#include "net/unix.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/fdstream.h"
#include "util/err.h"

enum { BACKLOG = 128 };

/* A socket and the address for path; negative errno. */
static int open_socket(const char *path, struct sockaddr_un *at) {
  memset(at, 0, sizeof *at);
  at->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof at->sun_path) {
    return -ENAMETOOLONG;
  }
  memcpy(at->sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? -errno : fd;
}

int arc_unix_dial(const char *path) {
  struct sockaddr_un to;
  int fd = open_socket(path, &to);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to)) {
    int rc = -errno;
    close(fd);
    return rc;
  }
  return fd;
}

struct arc_stream *arc_unix_connect(struct arc_loop *loop, const char *path,
                                    struct arc_err **err) {
  int fd = arc_unix_dial(path);
  struct arc_stream *s =
      fd < 0 ? NULL : arc_fdstream_new(loop, fd, -1, "unix socket");
  if (!s) {
    *err = arc_err_errno(fd < 0 ? fd : -ENOMEM, "connect to %s", path);
  }
  return s;
}

static void take_away(const char *path) {
  struct stat st;
  if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
    unlink(path);
  }
}

struct arc_listener *arc_unix_listen(struct arc_loop *loop, const char *path,
                                     unsigned mask, bool replace,
                                     struct arc_err **err) {
  struct sockaddr_un at;
  int fd = open_socket(path, &at);
  int rc = fd < 0 ? fd : 0;
  if (!rc && replace) {
    take_away(path);
  }
  if (!rc) {
    mode_t before = umask((mode_t)mask & 0777);
    rc = bind(fd, (struct sockaddr *)&at, sizeof at) ? -errno : 0;
    umask(before);
  }
  if (!rc && listen(fd, BACKLOG)) {
    rc = -errno;
    unlink(path);
  }
  struct arc_listener *listener = NULL;
  if (!rc) {
    listener = arc_listener_new(loop, fd, path);
    rc = listener ? 0 : -ENOMEM;
  } else if (fd >= 0) {
    close(fd);
  }
  if (!listener) {
    *err = arc_err_errno(rc, "listen on %s", path);
  }
  return listener;
}
