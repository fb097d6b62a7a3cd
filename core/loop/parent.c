/* SPDX-License-Identifier: MIT */
#include "loop/parent.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/err.h"

/* Lives until libuv has let go of its poll handle. */
struct watch {
  uv_poll_t poll; /* on a pidfd */
  int fd;
  struct parent_op *op; /* NULL once nobody waits */
};

struct parent_op {
  struct arc_op op;
  struct watch *watch;
};

static void closed(uv_handle_t *handle) { free(handle->data); }

static void detach(struct arc_op *op) {
  struct watch *watch = ((struct parent_op *)op)->watch;
  ((struct parent_op *)op)->watch = NULL;
  if (watch) {
    watch->op = NULL;
    uv_close((uv_handle_t *)&watch->poll, closed);
    close(watch->fd);
  }
}

static void gone(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  struct parent_op *op = ((struct watch *)poll->data)->op;
  detach(&op->op);
  arc_op_finish(&op->op, NULL);
}

/* A descriptor of the parent, or a negative errno. */
static int open_parent(void) {
  pid_t parent = getppid();
  int fd = (int)syscall(SYS_pidfd_open, parent, 0);
  if (fd < 0) {
    return -errno;
  }
  if (getppid() != parent) { // the number may be another's by now
    close(fd);
    return -ESRCH;
  }
  return fd;
}

struct arc_op *arc_parent_wait(struct arc_loop *loop) {
  static const struct arc_op_class cls = {.name = "parent", .detach = detach};
  struct parent_op *op = arc_op_new(loop, &cls, sizeof *op, ARC_FOREVER);
  struct watch *watch = op ? calloc(1, sizeof *watch) : NULL;
  if (!watch) {
    arc_op_free(op ? &op->op : NULL);
    return NULL;
  }
  watch->fd = open_parent();
  if (watch->fd < 0) {
    int rc = watch->fd;
    free(watch);
    arc_op_finish(&op->op, rc == -ESRCH
                               ? NULL
                               : arc_err_errno(rc, "watch the parent process"));
    return &op->op;
  }
  watch->op = op;
  op->watch = watch;
  watch->poll.data = watch;
  uv_poll_init(arc_loop_uv(loop), &watch->poll, watch->fd);
  uv_poll_start(&watch->poll, UV_READABLE, gone);
  uv_unref((uv_handle_t *)&watch->poll);
  return &op->op;
}
