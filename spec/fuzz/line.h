/* SPDX-License-Identifier: MIT */
#ifndef ARC_FUZZ_LINE_H
#define ARC_FUZZ_LINE_H

#include "fuzz.h"

#include "net/stream.h"
#include "util/buf.h"

struct script {
  const uint8_t *sizes;
  size_t n, at;
};

/* 0 now and then: not ready. */
static inline size_t next_size(struct script *script) {
  uint8_t size = script->n ? script->sizes[script->at++ % script->n] : 255;
  return size < 128 ? size : (size_t)(size - 127) * 64;
}

/* The transport: the peer's bytes are there from the start. */
struct line {
  struct arc_stream s;
  struct fuzz_input in;
  struct script reads, writes;
  bool stalled_read, stalled_write;
  bool broken; /* ends with an error */
  struct arc_buf *sent;
};

/* Never twice in a row without progress. */
static inline size_t step(struct script *script, bool *stalled) {
  size_t n = next_size(script);
  if (!n && *stalled) {
    n = 1;
  }
  *stalled = !n;
  return n;
}

static inline ssize_t line_read(struct arc_stream *s, void *to, size_t n) {
  struct line *line = (struct line *)s;
  if (!line->in.left) {
    return line->broken
               ? arc_stream_fail(s, arc_err_new(ARC_E_CLOSED, "it broke"))
               : 0;
  }
  size_t have = step(&line->reads, &line->stalled_read);
  if (!have) {
    return ARC_AGAIN;
  }
  have = have < n ? have : n;
  have = have < line->in.left ? have : line->in.left;
  memcpy(to, line->in.at, have);
  line->in.at += have;
  line->in.left -= have;
  return (ssize_t)have;
}

static inline ssize_t line_write(struct arc_stream *s, const void *from,
                                 size_t n) {
  struct line *line = (struct line *)s;
  size_t room = step(&line->writes, &line->stalled_write);
  if (!room) {
    return ARC_AGAIN;
  }
  n = n < room ? n : room;
  arc_buf_append(line->sent, from, n);
  return (ssize_t)n;
}

static inline void line_free(struct arc_stream *s) {
  arc_stream_fini(s);
  free(s);
}

static inline void line_abort(struct arc_stream *s, struct arc_err *why) {
  (void)why;
  line_free(s);
}

static const struct arc_stream_class line_class = {
    .kind = "line",
    .read = line_read,
    .write = line_write,
    .want_read = arc_stream_readable,
    .want_write = arc_stream_writable,
    .close = line_free,
    .abort = line_abort,
};

/* A transport that brings what is in `in`, in chunks of the script's sizes, and
 * keeps in sent what is written to it. */
static inline struct line *line_new(struct arc_loop *loop, struct fuzz_input in,
                                    struct script sizes, struct arc_buf *sent) {
  struct line *line = calloc(1, sizeof *line);
  DEMAND(line);
  arc_stream_init(&line->s, loop, &line_class, NULL);
  line->reads = line->writes = sizes;
  line->writes.at = sizes.n / 2;
  line->sent = sent;
  line->in = in;
  return line;
}

/* The sizes at the front of the input: how many, then each. */
static inline struct script line_script(struct fuzz_input *in) {
  size_t n = fuzz_byte(in) & 15;
  n = n < in->left ? n : in->left;
  struct script sizes = {.sizes = in->at, .n = n};
  in->at += n;
  in->left -= n;
  return sizes;
}

#endif
