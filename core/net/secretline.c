/* SPDX-License-Identifier: MIT */
#include "net/secretline.h"

#include <stdlib.h>
#include <string.h>

#include "util/err.h"
#include "util/secret.h"

enum { LINE_MAX_LEN = 4096 };

struct secretline {
  struct arc_op op;
  struct arc_stream *from; /* NULL once it has ended */
  struct arc_secret *line;
  size_t held;
  char bytes[LINE_MAX_LEN];
};

static void end(struct secretline *self, struct arc_err *err) {
  arc_stream_close(self->from);
  self->from = NULL;
  arc_op_finish(&self->op, err);
}

static void take(struct secretline *self, size_t n) {
  if (n && self->bytes[n - 1] == '\r') {
    n--;
  }
  self->line = arc_secret_new(self->bytes, n);
  end(self, self->line ? NULL : arc_err_new(ARC_E_NOMEM, "out of memory"));
}

static void at_end(struct secretline *self) {
  if (self->held) {
    take(self, self->held);
  } else {
    end(self, arc_err_new(ARC_E_CLOSED, "%s gave no answer", self->from->name));
  }
}

static void more(void *arg) {
  struct secretline *self = arg;
  ssize_t n = ARC_AGAIN;
  while (self->held < sizeof self->bytes &&
         (n = arc_stream_read(self->from, self->bytes + self->held,
                              sizeof self->bytes - self->held)) > 0) {
    self->held += (size_t)n;
    char *eol = memchr(self->bytes, '\n', self->held);
    if (eol) {
      take(self, (size_t)(eol - self->bytes));
      return;
    }
  }
  if (self->held == sizeof self->bytes) {
    end(self, arc_err_new(ARC_E_LIMIT, "the answer is longer than %d bytes",
                          LINE_MAX_LEN - 1));
  } else if (n == ARC_AGAIN) {
    arc_stream_want_read(self->from, more, self);
  } else if (n == 0) {
    at_end(self);
  } else {
    end(self, arc_err_ref(self->from->err));
  }
}

static void detach(struct arc_op *op) {
  struct secretline *self = (struct secretline *)op;
  arc_stream_close(self->from);
  self->from = NULL;
}

static void destroy(struct arc_op *op) {
  struct secretline *self = (struct secretline *)op;
  arc_secret_unref(self->line);
  explicit_bzero(self->bytes, sizeof self->bytes);
  free(self);
}

struct arc_op *arc_secretline(struct arc_stream *s) {
  static const struct arc_op_class cls = {"read_secret", detach, destroy};
  struct secretline *self =
      arc_op_new(s->loop, &cls, sizeof *self, ARC_FOREVER);
  if (!self) {
    arc_stream_close(s);
    return NULL;
  }
  self->from = s;
  arc_stream_want_read(s, more, self);
  return &self->op;
}

struct arc_secret *arc_secretline_take(struct arc_op *op) {
  struct secretline *self = (struct secretline *)op;
  struct arc_secret *line = self->line;
  self->line = NULL;
  return line;
}
