/* SPDX-License-Identifier: MIT */
#include "net/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/fdstream.h"
#include "net/socket.h"
#include "util/err.h"

/* Both ops end with a stream. */
struct stream_op {
  struct arc_op op;
  struct arc_stream *stream;
};

struct connect_op {
  struct stream_op base;
  struct connecting *work;
};

/* Lives until libuv has let go of the request and the poll handle. */
struct connecting {
  uv_getaddrinfo_t request;
  uv_poll_t poll;
  struct connect_op *op; /* NULL once nobody waits */
  struct addrinfo *next;
  int fd;
  int error; /* of the last address tried */
  bool resolving, polling;
  char where[128];
};

struct accept_op {
  struct stream_op base;
  struct arc_listener *listener;
  struct accept_op *next;
};

struct arc_listener {
  uv_poll_t poll;
  struct arc_loop *loop;
  int fd;
  int port;
  char *path;                /* of a socket's file, or NULL */
  struct accept_op *waiting; /* in order of arrival */
};

struct arc_stream *arc_tcp_taken(struct arc_op *op) {
  struct stream_op *base = (struct stream_op *)op;
  struct arc_stream *stream = base->stream;
  base->stream = NULL;
  return stream;
}

static void drop_stream(struct arc_op *op) {
  arc_stream_close(arc_tcp_taken(op));
  free(op);
}

static struct arc_stream *stream_of(struct arc_loop *loop, int fd,
                                    const char *name) {
  arc_socket_tune(fd);
  return arc_fdstream_new(loop, fd, -1, name);
}

static void release(struct connecting *work) {
  if (work->op || work->resolving || work->polling) {
    return;
  }
  if (work->fd >= 0) {
    close(work->fd);
  }
  uv_freeaddrinfo(work->request.addrinfo);
  free(work);
}

static void finish(struct connecting *work, struct arc_err *err) {
  struct connect_op *op = work->op;
  work->op = NULL;
  op->work = NULL;
  arc_op_finish(&op->base.op, err);
  release(work);
}

static void try_next(struct connecting *work);

static void settled(uv_handle_t *handle) {
  struct connecting *work = handle->data;
  work->polling = false;
  if (work->op) {
    try_next(work);
  } else {
    release(work);
  }
}

static void connect_done(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct connecting *work = poll->data;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(work->fd, SOL_SOCKET, SO_ERROR, &error, &size)) {
    error = errno;
  }
  uv_close((uv_handle_t *)poll, settled);
  int fd = work->fd;
  work->fd = -1;
  if (error) {
    close(fd);
    work->error = error;
    return; // settled goes on to the next address
  }
  struct connect_op *op = work->op;
  op->base.stream = stream_of(op->base.op.loop, fd, work->where);
  finish(work, op->base.stream ? NULL : arc_err_errno(ENOMEM, "connect"));
}

/* Starts on the next address; finishes the op when there is none. */
static void try_next(struct connecting *work) {
  struct arc_loop *loop = work->op->base.op.loop;
  while (work->next) {
    struct addrinfo *at = work->next;
    work->next = at->ai_next;
    int fd =
        socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      work->error = errno;
      continue;
    }
    if (connect(fd, at->ai_addr, at->ai_addrlen) && errno != EINPROGRESS) {
      work->error = errno;
      close(fd);
      continue;
    }
    work->fd = fd;
    uv_poll_init(arc_loop_uv(loop), &work->poll, fd);
    work->poll.data = work;
    work->polling = true;
    uv_poll_start(&work->poll, UV_WRITABLE, connect_done);
    return;
  }
  finish(work, arc_err_errno(work->error, "connect to %s", work->where));
}

static void resolved(uv_getaddrinfo_t *request, int status,
                     struct addrinfo *addresses) {
  struct connecting *work = request->data;
  work->resolving = false;
  request->addrinfo = addresses;
  if (!work->op) {
    release(work);
    return;
  }
  if (status) {
    finish(work, arc_err_new(ARC_E_DNS, "cannot resolve %s: %s", work->where,
                             uv_strerror(status)));
    return;
  }
  work->next = addresses;
  work->error = EADDRNOTAVAIL;
  try_next(work);
}

static void connect_detach(struct arc_op *op) {
  struct connecting *work = ((struct connect_op *)op)->work;
  if (!work) {
    return;
  }
  ((struct connect_op *)op)->work = NULL;
  work->op = NULL;
  if (work->resolving) {
    uv_cancel((uv_req_t *)&work->request);
  }
  if (work->polling && !uv_is_closing((uv_handle_t *)&work->poll)) {
    uv_close((uv_handle_t *)&work->poll, settled);
  }
  release(work);
}

struct arc_op *arc_tcp_connect(struct arc_loop *loop, const char *host,
                               int port, int64_t deadline) {
  static const struct arc_op_class cls = {"tcp.connect", connect_detach,
                                          drop_stream};
  struct connecting *work = calloc(1, sizeof *work);
  struct connect_op *op =
      work ? arc_op_new(loop, &cls, sizeof *op, deadline) : NULL;
  if (!op) {
    free(work);
    return NULL;
  }
  char service[16];
  snprintf(service, sizeof service, "%d", port);
  snprintf(work->where, sizeof work->where, "%s:%d", host, port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                           .ai_flags = AI_NUMERICSERV};
  work->op = op;
  work->fd = -1;
  work->request.data = work;
  op->work = work;
  work->resolving = true;
  int status = uv_getaddrinfo(arc_loop_uv(loop), &work->request, resolved, host,
                              service, &hints);
  if (status) {
    work->resolving = false;
    finish(work, arc_err_errno(status, "resolve %s", host));
  }
  return &op->base.op;
}

static bool give(struct arc_listener *listener) {
  struct sockaddr_storage from = {0};
  socklen_t size = sizeof from;
  int fd = accept4(listener->fd, (struct sockaddr *)&from, &size,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED)) {
    return false;
  }
  struct accept_op *op = listener->waiting;
  listener->waiting = op->next;
  op->listener = NULL;
  if (fd < 0) {
    arc_op_finish(&op->base.op, arc_err_errno(errno, "accept"));
    return true;
  }
  char name[64] = "a connection";
  char host[48];
  if (from.ss_family == AF_INET) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&from;
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    snprintf(name, sizeof name, "%s:%d", host, ntohs(v4->sin_port));
  } else if (from.ss_family == AF_INET6) {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&from;
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    snprintf(name, sizeof name, "[%s]:%d", host, ntohs(v6->sin6_port));
  }
  op->base.stream = stream_of(listener->loop, fd, name);
  arc_op_finish(&op->base.op,
                op->base.stream ? NULL : arc_err_errno(ENOMEM, "accept"));
  return true;
}

static void acceptable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct arc_listener *listener = poll->data;
  while (listener->waiting && give(listener)) {
  }
  if (!listener->waiting) {
    uv_poll_stop(poll);
  }
}

static void accept_detach(struct arc_op *op) {
  struct accept_op *leaving = (struct accept_op *)op;
  if (!leaving->listener) {
    return;
  }
  struct accept_op **at = &leaving->listener->waiting;
  while (*at != leaving) {
    at = &(*at)->next;
  }
  *at = leaving->next;
  leaving->listener = NULL;
}

struct arc_op *arc_listener_accept(struct arc_listener *listener) {
  static const struct arc_op_class cls = {"tcp.accept", accept_detach,
                                          drop_stream};
  struct accept_op *op =
      arc_op_new(listener->loop, &cls, sizeof *op, ARC_FOREVER);
  if (!op) {
    return NULL;
  }
  struct accept_op **at = &listener->waiting;
  while (*at) {
    at = &(*at)->next;
  }
  *at = op;
  op->listener = listener;
  uv_poll_start(&listener->poll, UV_READABLE, acceptable);
  return &op->base.op;
}

static int open_listener(const char *address, int port, int *fd_out) {
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                            .sin6_port = htons((uint16_t)port)};
  struct sockaddr_in v4 = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port)};
  struct sockaddr *at = (struct sockaddr *)&v4;
  socklen_t size = sizeof v4;
  if (inet_pton(AF_INET, address, &v4.sin_addr) != 1) {
    if (inet_pton(AF_INET6, address, &v6.sin6_addr) != 1) {
      return EINVAL;
    }
    at = (struct sockaddr *)&v6;
    size = sizeof v6;
  }
  int fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  if (fd < 0) {
    return errno;
  }
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at->sa_family == AF_INET6) { // IPv4 has listeners of its own
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (bind(fd, at, size) || listen(fd, 4096)) {
    int error = errno;
    close(fd);
    return error;
  }
  *fd_out = fd;
  return 0;
}

static int port_of(int fd) {
  struct sockaddr_in6 bound = {0}; // an IPv4 port stands in the same place
  socklen_t size = sizeof bound;
  getsockname(fd, (struct sockaddr *)&bound, &size);
  return ntohs(bound.sin6_port);
}

struct arc_listener *arc_listener_new(struct arc_loop *loop, int fd,
                                      const char *path) {
  struct arc_listener *listener = calloc(1, sizeof *listener);
  if (listener && path && !(listener->path = strdup(path))) {
    free(listener);
    listener = NULL;
  }
  if (!listener) {
    close(fd);
    return NULL;
  }
  listener->fd = fd;
  listener->port = path ? 0 : port_of(fd);
  listener->loop = loop;
  uv_poll_init(arc_loop_uv(loop), &listener->poll, listener->fd);
  listener->poll.data = listener;
  return listener;
}

struct arc_listener *arc_tcp_listen(struct arc_loop *loop, const char *address,
                                    int port, struct arc_err **err) {
  int fd = -1;
  int error = open_listener(address, port, &fd);
  struct arc_listener *listener = NULL;
  if (!error) {
    listener = arc_listener_new(loop, fd, NULL);
    error = listener ? 0 : ENOMEM;
  }
  if (!listener) {
    bool six = strchr(address, ':');
    *err = arc_err_errno(error, six ? "listen on [%s]:%d" : "listen on %s:%d",
                         address, port);
  }
  return listener;
}

int arc_listener_port(const struct arc_listener *listener) {
  return listener->port;
}

static void listener_closed(uv_handle_t *handle) {
  struct arc_listener *listener = handle->data;
  free(listener->path);
  free(listener);
}

void arc_listener_close(struct arc_listener *listener) {
  if (!listener) {
    return;
  }
  while (listener->waiting) {
    arc_op_cancel(&listener->waiting->base.op,
                  arc_err_new(ARC_E_CLOSED, "the listener was closed"));
  }
  if (listener->path) {
    unlink(listener->path);
  }
  uv_close((uv_handle_t *)&listener->poll, listener_closed);
  close(listener->fd);
}
