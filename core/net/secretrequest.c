/* SPDX-License-Identifier: MIT */
#include "net/secretrequest.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/secret.h"

enum { HEAD_MAX = 16 * 1024, BODY_MAX = 64 * 1024, CHUNK = 4096 };

struct secretrequest {
  struct arc_op op;
  struct arc_stream *from; /* NULL: closed, or given back */
  struct arc_secret *request;
  struct arc_buf bytes;
  size_t whole; /* how many the request has; 0: its head has not ended */
};

static void fail(struct secretrequest *self, struct arc_err *err) {
  arc_stream_close(self->from);
  self->from = NULL;
  arc_op_finish(&self->op, err);
}

/* The value of Content-Length in a head of n bytes; 0 without one, and more
 * than BODY_MAX for one that is no number. */
static size_t body_length(const char *head, size_t n) {
  static const char name[] = "\r\ncontent-length:";
  size_t len = sizeof name - 1;
  for (size_t i = 0; i + len < n; i++) {
    if (!strncasecmp(head + i, name, len)) {
      const char *at = head + i + len;
      at += strspn(at, " \t");
      char *end;
      unsigned long value = strtoul(at, &end, 10);
      bool number = isdigit((unsigned char)*at) && *end == '\r';
      return number ? value : BODY_MAX + 1;
    }
  }
  return 0;
}

/* Sets self->whole once the head is there; false when it is too large. */
static bool measure(struct secretrequest *self) {
  const char *text = (const char *)arc_buf_head(&self->bytes);
  size_t n = arc_buf_len(&self->bytes);
  char *end = n ? memmem(text, n, "\r\n\r\n", 4) : NULL;
  if (!end) {
    return n <= HEAD_MAX;
  }
  size_t head = (size_t)(end - text) + 4;
  size_t body = body_length(text, head);
  self->whole = head + body;
  return head <= HEAD_MAX && body <= BODY_MAX;
}

static void take(struct secretrequest *self) {
  self->request = arc_secret_new(arc_buf_head(&self->bytes), self->whole);
  arc_buf_free(&self->bytes);
  if (self->request) {
    arc_op_finish(&self->op, NULL);
  } else {
    fail(self, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
}

/* What came is all, or too much: true, and the op has finished. */
static bool judge(struct secretrequest *self) {
  if (!self->whole && !measure(self)) {
    fail(self, arc_err_new(ARC_E_LIMIT, "the request is too large"));
    return true;
  }
  if (self->whole && arc_buf_len(&self->bytes) >= self->whole) {
    take(self);
    return true;
  }
  return false;
}

static void more(void *arg) {
  struct secretrequest *self = arg;
  ssize_t n;
  do {
    uint8_t *to = arc_buf_reserve(&self->bytes, CHUNK);
    if (!to) {
      fail(self, arc_err_new(ARC_E_NOMEM, "out of memory"));
      return;
    }
    n = arc_stream_read(self->from, to, CHUNK);
    arc_buf_commit(&self->bytes, n > 0 ? (size_t)n : 0);
    if (n > 0 && judge(self)) {
      return;
    }
  } while (n > 0);
  if (n == ARC_AGAIN) {
    arc_stream_want_read(self->from, more, self);
  } else if (n == 0) {
    fail(self, arc_err_new(ARC_E_CLOSED, "%s ended in its request",
                           self->from->name));
  } else {
    fail(self, arc_err_ref(self->from->err));
  }
}

static void detach(struct arc_op *op) {
  struct secretrequest *self = (struct secretrequest *)op;
  arc_stream_close(self->from);
  self->from = NULL;
}

static void destroy(struct arc_op *op) {
  struct secretrequest *self = (struct secretrequest *)op;
  detach(op);
  arc_secret_unref(self->request);
  arc_buf_free(&self->bytes);
  free(self);
}

struct arc_op *arc_secretrequest(struct arc_stream *s) {
  static const struct arc_op_class cls = {"read_request", detach, destroy};
  struct secretrequest *self =
      arc_op_new(s->loop, &cls, sizeof *self, ARC_FOREVER);
  if (!self) {
    arc_stream_close(s);
    return NULL;
  }
  self->from = s;
  self->bytes.secret = true;
  arc_stream_want_read(s, more, self);
  return &self->op;
}

struct arc_secret *arc_secretrequest_take(struct arc_op *op,
                                          struct arc_stream **s) {
  struct secretrequest *self = (struct secretrequest *)op;
  struct arc_secret *request = self->request;
  *s = self->from;
  self->from = NULL;
  self->request = NULL;
  return request;
}
