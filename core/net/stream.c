/* SPDX-License-Identifier: MIT */
#include "net/stream.h"

#include <stdio.h>
#include <string.h>

#include "util/err.h"

void arc_stream_init(struct arc_stream *s, struct arc_loop *loop,
                     const struct arc_stream_class *cls, const char *name) {
  memset(s, 0, sizeof *s);
  s->cls = cls;
  s->loop = loop;
  snprintf(s->name, sizeof s->name, "%s", name ? name : cls->kind);
  arc_loop_count(loop, ARC_N_STREAMS, 1);
}

void arc_stream_fini(struct arc_stream *s) {
  arc_ready_cancel(s->loop, &s->on_read);
  arc_ready_cancel(s->loop, &s->on_write);
  arc_err_unref(s->err);
  s->err = NULL;
  arc_loop_count(s->loop, ARC_N_STREAMS, -1);
}

static void wake(struct arc_stream *s, struct arc_ready *waiter) {
  if (waiter->fn) {
    arc_ready_post(s->loop, waiter);
  }
}

void arc_stream_readable(struct arc_stream *s) { wake(s, &s->on_read); }

void arc_stream_writable(struct arc_stream *s) { wake(s, &s->on_write); }

ssize_t arc_stream_fail(struct arc_stream *s, struct arc_err *err) {
  if (s->err) {
    arc_err_unref(err);
  } else {
    s->err = err;
  }
  wake(s, &s->on_read);
  wake(s, &s->on_write);
  return ARC_FAILED;
}

ssize_t arc_stream_read(struct arc_stream *s, void *to, size_t n) {
  return s->cls->read(s, to, n);
}

ssize_t arc_stream_write(struct arc_stream *s, const void *from, size_t n) {
  return s->cls->write(s, from, n);
}

void arc_stream_want_read(struct arc_stream *s, void (*fn)(void *), void *arg) {
  arc_ready_cancel(s->loop, &s->on_read);
  s->on_read.fn = fn;
  s->on_read.arg = arg;
  if (fn) {
    s->cls->want_read(s);
  }
}

void arc_stream_want_write(struct arc_stream *s, void (*fn)(void *),
                           void *arg) {
  arc_ready_cancel(s->loop, &s->on_write);
  s->on_write.fn = fn;
  s->on_write.arg = arg;
  if (fn) {
    s->cls->want_write(s);
  }
}

void arc_stream_shutdown(struct arc_stream *s) {
  if (s->cls->shutdown) {
    s->cls->shutdown(s);
  }
}

bool arc_stream_held_up(const struct arc_stream *s) {
  return s->cls->held_up && s->cls->held_up(s);
}

/* The caller's waiters must not run any more. */
static void let_go(struct arc_stream *s) {
  arc_stream_want_read(s, NULL, NULL);
  arc_stream_want_write(s, NULL, NULL);
}

void arc_stream_close(struct arc_stream *s) {
  if (s) {
    let_go(s);
    s->cls->close(s);
  }
}

void arc_stream_abort(struct arc_stream *s, struct arc_err *why) {
  if (s) {
    let_go(s);
    s->cls->abort(s, why);
  }
}
