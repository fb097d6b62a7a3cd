/* SPDX-License-Identifier: MIT */
#include "net/splice.h"

#include <stdlib.h>

#include "util/buf.h"
#include "util/err.h"

struct splice;

/* One direction. */
struct half {
  struct splice *all;
  struct arc_stream *from, *to;
  struct arc_buf held; /* read and not yet written */
  bool at_end, finished;
};

struct splice {
  struct arc_op op;
  struct half there, back;
  bool follows; /* over with the end of b */
};

static void end(struct splice *all, struct arc_err *err) {
  struct arc_stream *a = all->there.from;
  struct arc_stream *b = all->back.from;
  all->there.from = all->there.to = all->back.from = all->back.to = NULL;
  if (err) {
    arc_stream_abort(a, err);
    arc_stream_abort(b, err);
  } else {
    arc_stream_close(a);
    arc_stream_close(b);
  }
}

static void fail(struct splice *all, struct arc_stream *at) {
  struct arc_err *err = at->err ? arc_err_ref(at->err)
                                : arc_err_new(ARC_E_IO, "%s failed", at->name);
  end(all, err);
  arc_op_finish(&all->op, err);
}

static void move(void *arg);

/* False when it must wait or has failed. */
static bool write_held(struct half *half) {
  while (arc_buf_len(&half->held)) {
    ssize_t n = arc_stream_write(half->to, arc_buf_head(&half->held),
                                 arc_buf_len(&half->held));
    if (n == ARC_AGAIN) {
      arc_stream_want_write(half->to, move, half);
      return false;
    }
    if (n < 0) {
      fail(half->all, half->to);
      return false;
    }
    arc_buf_consume(&half->held, (size_t)n);
  }
  return true;
}

static void finish_half(struct half *half) {
  struct splice *all = half->all;
  half->finished = true;
  arc_buf_free(&half->held);
  arc_stream_shutdown(half->to);
  if ((all->there.finished || all->follows) && all->back.finished) {
    end(all, NULL);
    arc_op_finish(&all->op, NULL);
  }
}

static void move(void *arg) {
  struct half *half = arg;
  for (int turn = 0; turn < 8; turn++) { // then let others have their share
    if (!write_held(half)) {
      return;
    }
    if (half->at_end) {
      finish_half(half);
      return;
    }
    uint8_t *room = arc_buf_reserve(&half->held, ARC_STREAM_CHUNK);
    ssize_t n =
        room ? arc_stream_read(half->from, room, ARC_STREAM_CHUNK) : ARC_FAILED;
    if (n == ARC_AGAIN) {
      break;
    }
    if (n < 0) {
      fail(half->all, half->from);
      return;
    }
    half->at_end = n == 0;
    arc_buf_commit(&half->held, (size_t)n);
  }
  if (write_held(half)) {
    arc_buf_trim(&half->held);
    arc_stream_want_read(half->from, move, half);
  }
}

static void detach(struct arc_op *op) {
  struct splice *all = (struct splice *)op;
  struct arc_err *err = arc_err_new(ARC_E_CANCELLED, "the copy was ended");
  end(all, err);
  arc_err_unref(err);
}

static void destroy(struct arc_op *op) {
  struct splice *all = (struct splice *)op;
  arc_buf_free(&all->there.held);
  arc_buf_free(&all->back.held);
  free(all);
}

struct arc_op *arc_splice(struct arc_stream *a, struct arc_stream *b) {
  static const struct arc_op_class cls = {"splice", detach, destroy};
  struct splice *all = arc_op_new(a->loop, &cls, sizeof *all, ARC_FOREVER);
  if (!all) {
    arc_stream_abort(a, NULL);
    arc_stream_abort(b, NULL);
    return NULL;
  }
  all->there = (struct half){.all = all, .from = a, .to = b};
  all->back = (struct half){.all = all, .from = b, .to = a};
  arc_stream_want_read(a, move, &all->there);
  arc_stream_want_read(b, move, &all->back);
  return &all->op;
}

void arc_splice_follow(struct arc_op *op) {
  ((struct splice *)op)->follows = true;
}
