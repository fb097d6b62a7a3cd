/* SPDX-License-Identifier: MIT */
#include "net/fdstream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/socket.h"
#include "net/terminal.h"
#include "util/err.h"

enum { BLOCKING_WRITE_MAX = 512 }; /* fits once poll says writable */

/* One descriptor and its poll handle. */
struct side {
  uv_poll_t poll;
  int fd;
  int armed;   /* what the poll looks for */
  int wanted;  /* what somebody waits for: one-shot */
  bool empty;  /* a short read: what comes next, the poll will say */
  bool polled; /* the poll handle exists: else always ready (a file) */
  bool socket;
  bool shared; /* not ours alone: blocking flags stay, no close */
};

struct fdstream {
  struct arc_stream base;
  struct side in, out;
  bool two;   /* out is a descriptor of its own */
  bool shut;  /* no more writes */
  bool hides; /* the terminal's echo is off until it is closed */
  int parts;  /* the stream itself and its poll handles: all must be gone */
};

static struct fdstream *self(struct arc_stream *s) {
  return (struct fdstream *)s;
}

static struct side *out_side(struct fdstream *f) {
  return f->two ? &f->out : &f->in;
}

static void arm(struct side *side, int events);

/* A poll that nobody waits for keeps no loop alive. */
static void set_wanted(struct side *side, int events) {
  side->wanted = events;
  if (events) {
    uv_ref((uv_handle_t *)&side->poll);
  } else {
    uv_unref((uv_handle_t *)&side->poll);
  }
}

/* What is wanted again and again stays armed, for arming costs system calls;
 * what came unwanted is disarmed. */
static void polled(uv_poll_t *poll, int status, int events) {
  struct fdstream *f = poll->data;
  struct side *side = poll == &f->in.poll ? &f->in : &f->out;
  if (status < 0) { // libuv has stopped the handle (any EPOLLERR)
    events = side->wanted;
    side->armed = 0;
  } else {
    arm(side, side->armed & ~(events & ~side->wanted));
    events &= side->wanted;
  }
  side->empty = false;
  set_wanted(side, side->wanted & ~events);
  if (events & UV_READABLE) {
    arc_stream_readable(&f->base);
  }
  if (events & UV_WRITABLE) {
    arc_stream_writable(&f->base);
  }
}

static void arm(struct side *side, int events) {
  if (side->armed == events) {
    return;
  }
  side->armed = events;
  if (events) {
    uv_poll_start(&side->poll, events, polled);
  } else {
    uv_poll_stop(&side->poll);
  }
}

static void want(struct side *side, int event) {
  arm(side, side->armed | event);
  set_wanted(side, side->wanted | event);
}

/* A shared descriptor may block: is it ready? */
static bool is_ready(const struct side *side, short events) {
  struct pollfd ask = {.fd = side->fd, .events = events};
  return !side->shared || !side->polled || poll(&ask, 1, 0) > 0;
}

static ssize_t fd_read(struct arc_stream *s, void *to, size_t n) {
  struct side *side = &self(s)->in;
  ssize_t got;
  if (s->err) {
    return ARC_FAILED;
  }
  if (side->empty || (!side->socket && !is_ready(side, POLLIN))) {
    return ARC_AGAIN;
  }
  do {
    got = side->socket ? recv(side->fd, to, n, MSG_DONTWAIT)
                       : read(side->fd, to, n);
  } while (got < 0 && errno == EINTR);
  if (got >= 0) {
    side->empty = side->polled && got && (size_t)got < n;
    return got;
  }
  if (errno == EAGAIN) {
    return ARC_AGAIN;
  }
  if (errno == EIO && isatty(side->fd)) {
    return 0; // the terminal's other end has gone
  }
  return arc_stream_fail(s, arc_err_errno(errno, "read from %s", s->name));
}

/* write(2) to a pipe whose reader has gone, without a SIGPIPE for the process
 * that we may only be a guest in. */
static ssize_t quiet_write(int fd, const void *from, size_t n) {
  struct sigaction action;
  sigset_t pipe_only, before, pending;
  if (!sigaction(SIGPIPE, NULL, &action) && action.sa_handler == SIG_IGN) {
    return write(fd, from, n);
  }
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  sigpending(&pending);
  bool was_pending = sigismember(&pending, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
  ssize_t sent = write(fd, from, n);
  int number = errno;
  if (sent < 0 && number == EPIPE && !was_pending) {
    struct timespec now = {0, 0};
    sigtimedwait(&pipe_only, NULL, &now);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = number;
  return sent;
}

static ssize_t side_write(struct side *side, const void *from, size_t n) {
  if (side->socket) {
    return send(side->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  if (side->shared && side->polled) {
    if (!is_ready(side, POLLOUT)) {
      errno = EAGAIN;
      return -1;
    }
    n = n < BLOCKING_WRITE_MAX ? n : BLOCKING_WRITE_MAX;
  }
  return quiet_write(side->fd, from, n);
}

static ssize_t fd_write(struct arc_stream *s, const void *from, size_t n) {
  struct fdstream *f = self(s);
  ssize_t sent;
  if (s->err) {
    return ARC_FAILED;
  }
  if (f->shut) {
    return arc_stream_fail(s, arc_err_new(ARC_E_CLOSED,
                                          "write to %s after "
                                          "its shutdown",
                                          s->name));
  }
  do {
    sent = side_write(out_side(f), from, n);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) {
    return sent;
  }
  if (errno == EAGAIN) {
    return ARC_AGAIN;
  }
  return arc_stream_fail(s, arc_err_errno(errno, "write to %s", s->name));
}

static void fd_want_read(struct arc_stream *s) {
  struct side *side = &self(s)->in;
  if (s->err || !side->polled) {
    arc_stream_readable(s);
  } else {
    want(side, UV_READABLE);
  }
}

static void fd_want_write(struct arc_stream *s) {
  struct side *side = out_side(self(s));
  if (s->err || !side->polled) {
    arc_stream_writable(s);
  } else {
    want(side, UV_WRITABLE);
  }
}

static void release_side(struct side *side) {
  if (side->fd >= 0 && !side->shared) {
    close(side->fd);
  }
  side->fd = -1;
}

static void part_gone(struct fdstream *f) {
  if (!--f->parts) {
    free(f);
  }
}

static void closed(uv_handle_t *handle) { part_gone(handle->data); }

/* Closes the side's descriptor, and before it the poll handle. */
static void drop_side(struct side *side) {
  if (side->polled) {
    side->polled = false;
    side->armed = side->wanted = 0;
    uv_close((uv_handle_t *)&side->poll, closed);
  }
  release_side(side);
}

/* A socket says the end; of a pipe, its end is the descriptor's. */
static void fd_shutdown(struct arc_stream *s) {
  struct fdstream *f = self(s);
  struct side *out = out_side(f);
  if (f->shut) {
    return;
  }
  f->shut = true;
  if (out->socket) {
    shutdown(out->fd, SHUT_WR);
  } else if (f->two || (fcntl(out->fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
    drop_side(out);
    arc_stream_writable(s);
  }
}

static void destroy(struct fdstream *f) {
  if (f->hides) {
    arc_terminal_show();
  }
  arc_stream_fini(&f->base);
  drop_side(&f->in);
  drop_side(&f->out);
  part_gone(f);
}

static void fd_close(struct arc_stream *s) {
  struct fdstream *f = self(s);
  if (out_side(f)->socket && !f->shut) {
    shutdown(out_side(f)->fd, SHUT_WR);
  }
  destroy(f);
}

static void fd_abort(struct arc_stream *s, struct arc_err *why) {
  (void)why;
  struct fdstream *f = self(s);
  if (f->in.socket) {
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(f->in.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  destroy(f);
}

static bool fd_held_up(const struct arc_stream *s) {
  const struct fdstream *f = (const struct fdstream *)s;
  return arc_socket_held_up(f->two ? f->out.fd : f->in.fd);
}

static const struct arc_stream_class fd_class = {
    .kind = "fd",
    .read = fd_read,
    .write = fd_write,
    .want_read = fd_want_read,
    .want_write = fd_want_write,
    .shutdown = fd_shutdown,
    .close = fd_close,
    .abort = fd_abort,
    .held_up = fd_held_up,
};

static bool is_socket(int fd) {
  int type;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

static void open_side(struct fdstream *f, struct side *side, int fd,
                      bool shared) {
  side->fd = fd;
  side->shared = shared;
  side->socket = fd >= 0 && is_socket(fd);
  if (fd < 0) {
    return;
  }
  int flags = fcntl(fd, F_GETFL);
  side->polled = uv_poll_init(arc_loop_uv(f->base.loop), &side->poll, fd) == 0;
  side->poll.data = f;
  f->parts += side->polled;
  if (shared && flags >= 0) {
    fcntl(fd, F_SETFL, flags);
  }
}

/* A descriptor, and whether others share it. */
struct end {
  int fd;
  bool shared;
};

static void close_end(struct end end) {
  if (end.fd >= 0 && !end.shared) {
    close(end.fd);
  }
}

/* out.fd < 0: in is for both ways. */
static struct arc_stream *make(struct arc_loop *loop, struct end in,
                               struct end out, const char *name) {
  struct fdstream *f = calloc(1, sizeof *f);
  if (!f) {
    close_end(in);
    close_end(out);
    return NULL;
  }
  arc_stream_init(&f->base, loop, &fd_class, name);
  f->parts = 1;
  f->two = out.fd >= 0 && out.fd != in.fd;
  open_side(f, &f->in, in.fd, in.shared);
  open_side(f, &f->out, f->two ? out.fd : -1, out.shared);
  return &f->base;
}

struct arc_stream *arc_fdstream_new(struct arc_loop *loop, int fd, int out,
                                    const char *kind_name) {
  return make(loop, (struct end){fd, false}, (struct end){out, false},
              kind_name);
}

/* An open file description of its own, where the kind of file has one:
 * O_NONBLOCK then stays private. */
static struct end open_standard(int fd) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int flags = fcntl(fd, F_GETFL);
  int own = -1;
  if (flags >= 0 && !is_socket(fd) && lseek(fd, 0, SEEK_CUR) < 0) {
    own = open(path, (flags & (O_ACCMODE | O_APPEND)) | O_NOCTTY | O_CLOEXEC |
                         O_NONBLOCK);
  }
  return own >= 0 ? (struct end){own, false} : (struct end){fd, true};
}

struct arc_stream *arc_fdstream_stdio(struct arc_loop *loop, int fd, int out) {
  static const char *const names[] = {"stdin", "stdout", "stderr"};
  struct end none = {-1, false};
  return make(loop, open_standard(fd), out >= 0 ? open_standard(out) : none,
              out >= 0 ? "stdin and stdout" : names[fd]);
}

struct arc_stream *arc_fdstream_terminal(struct arc_loop *loop, bool echo,
                                         struct arc_err **err) {
  int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || !isatty(fd)) {
    *err = arc_err_errno(errno, "open the terminal");
    close_end((struct end){fd, false});
    return NULL;
  }
  struct arc_stream *s = arc_fdstream_new(loop, fd, -1, "the terminal");
  if (s && !echo) {
    self(s)->hides = arc_terminal_hide(fd);
  }
  return s;
}

int arc_fdstream_pair(struct arc_loop *loop, struct arc_stream *pair[2]) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds)) {
    return -errno;
  }
  pair[0] = arc_fdstream_new(loop, fds[0], -1, "pair");
  pair[1] = arc_fdstream_new(loop, fds[1], -1, "pair");
  if (!pair[0] || !pair[1]) {
    arc_stream_close(pair[0]);
    arc_stream_close(pair[1]);
    return -ENOMEM;
  }
  return 0;
}
