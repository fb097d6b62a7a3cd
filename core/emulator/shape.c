/* SPDX-License-Identifier: MIT */
#include "emulator/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

enum {
  CHUNK = 16 * 1024,
  TURNS = 16,           /* chunks a turn, before others have theirs */
  LINGER_MS = 15 * 1000 /* for all that is on its way when we are closed */
};

struct chunk {
  struct chunk *next;
  int64_t due; /* when it arrives */
  size_t at, n;
  uint8_t data[];
};

/* One direction. */
struct lane {
  struct chunk *first, *last;
  size_t held;    /* bytes on their way or not yet taken */
  double free_at; /* when the line has sent all that it was given */
  struct arc_timer timer;
};

/* What follows the last byte to the transport. */
enum parting { STAY, SHUTDOWN, SHUT, CLOSE, ABORT };

struct shape {
  struct arc_stream s;
  struct arc_stream *transport;
  struct arc_line line;
  struct lane in, out;
  double opens; /* nothing sets out to us before */
  bool ended;   /* the transport has; `end` says why, NULL = orderly */
  struct arc_err *end;
  int64_t end_due;
  enum parting parting;
  int64_t part_due;
  struct arc_timer linger;
  bool orphan;
};

/* ---- lanes -----------------------------------------------------------------
 */

/* When n bytes that set out now, or at `from`, arrive. */
static int64_t arrival(struct shape *h, struct lane *lane, double from,
                       size_t n) {
  double start =
      fmax(fmax((double)arc_loop_now(h->s.loop), from), lane->free_at);
  if (h->line.rate > 0) {
    start += (double)n / h->line.rate;
  }
  lane->free_at = start;
  return (int64_t)ceil(start + h->line.latency);
}

static bool put(struct lane *lane, const void *from, size_t n, int64_t due) {
  struct chunk *chunk = malloc(sizeof *chunk + n);
  if (!chunk) {
    return false;
  }
  *chunk = (struct chunk){.due = due, .n = n};
  memcpy(chunk->data, from, n);
  if (lane->last) {
    lane->last->next = chunk;
  } else {
    lane->first = chunk;
  }
  lane->last = chunk;
  lane->held += n;
  return true;
}

/* n of the first chunk's bytes are gone. */
static void consume(struct lane *lane, size_t n) {
  struct chunk *chunk = lane->first;
  lane->held -= n;
  chunk->at += n;
  if (chunk->at == chunk->n) {
    lane->first = chunk->next;
    lane->last = chunk->next ? lane->last : NULL;
    free(chunk);
  }
}

static void empty(struct lane *lane) {
  while (lane->first) {
    consume(lane, lane->first->n - lane->first->at);
  }
}

static bool arrived(const struct shape *h, const struct lane *lane) {
  return lane->first && lane->first->due <= arc_loop_now(h->s.loop);
}

/* ---- from the transport ----------------------------------------------------
 */

static void pump_in(void *arg);

/* There is something to read, or the end. */
static bool readable(const struct shape *h) {
  return h->s.err || arrived(h, &h->in) ||
         (h->ended && !h->in.first && h->end_due <= arc_loop_now(h->s.loop));
}

static void announce(void *arg) {
  struct shape *h = arg;
  if (readable(h)) {
    arc_stream_readable(&h->s);
  } else if (h->in.first || h->ended) {
    arc_timer_start(h->s.loop, &h->in.timer,
                    h->in.first ? h->in.first->due : h->end_due, announce, h);
  }
}

static void end(struct shape *h, struct arc_err *err) {
  h->ended = true;
  h->end = err;
  h->end_due = arrival(h, &h->in, h->opens, 0);
}

/* What comes for an orphan is thrown away. */
static void take_in(struct shape *h, const uint8_t *data, size_t n) {
  if (!h->orphan && !put(&h->in, data, n, arrival(h, &h->in, h->opens, n))) {
    end(h, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
}

static void pump_in(void *arg) {
  struct shape *h = arg;
  uint8_t data[CHUNK];
  for (int turn = 0; turn < TURNS && !h->ended && h->in.held < h->line.absorbs;
       turn++) {
    ssize_t n = arc_stream_read(h->transport, data, sizeof data);
    if (n == ARC_AGAIN) {
      break;
    }
    if (n > 0) {
      take_in(h, data, (size_t)n);
    } else {
      end(h, n ? arc_err_ref(h->transport->err) : NULL);
    }
  }
  if (!h->ended && h->in.held < h->line.absorbs) {
    arc_stream_want_read(h->transport, pump_in, h);
  }
  if (h->s.on_read.fn) {
    announce(h);
  }
}

static ssize_t shape_read(struct arc_stream *s, void *to, size_t n) {
  struct shape *h = (struct shape *)s;
  if (s->err) {
    return ARC_FAILED;
  }
  if (!readable(h)) {
    return ARC_AGAIN;
  }
  if (!h->in.first) {
    return h->end ? arc_stream_fail(s, arc_err_ref(h->end)) : 0;
  }
  bool was_full = h->in.held >= h->line.absorbs;
  size_t got = 0;
  while (got < n && arrived(h, &h->in)) {
    struct chunk *chunk = h->in.first;
    size_t part =
        chunk->n - chunk->at < n - got ? chunk->n - chunk->at : n - got;
    memcpy((uint8_t *)to + got, chunk->data + chunk->at, part);
    got += part;
    consume(&h->in, part);
  }
  if (was_full && h->in.held < h->line.absorbs && !h->ended) {
    arc_stream_want_read(h->transport, pump_in, h);
  }
  return (ssize_t)got;
}

static void shape_want_read(struct arc_stream *s) {
  announce((struct shape *)s);
}

/* ---- to the transport ------------------------------------------------------
 */

static void destroy(struct shape *h) {
  arc_timer_stop(h->s.loop, &h->in.timer);
  arc_timer_stop(h->s.loop, &h->out.timer);
  arc_timer_stop(h->s.loop, &h->linger);
  empty(&h->in);
  empty(&h->out);
  arc_err_unref(h->end);
  if (h->orphan) {
    arc_loop_count(h->s.loop, ARC_N_LINGERS, -1);
  }
  arc_stream_fini(&h->s);
  free(h);
}

/* Frees the shape when its user has let go. */
static void part(struct shape *h) {
  struct arc_stream *transport = h->transport;
  if (h->parting == SHUTDOWN) {
    h->parting = SHUT;
    arc_stream_shutdown(transport);
    return;
  }
  bool orderly = h->parting == CLOSE && !h->out.first;
  destroy(h);
  if (orderly) {
    arc_stream_close(transport);
  } else {
    arc_stream_abort(transport, NULL);
  }
}

/* Sends what has arrived. False: the transport takes no more now, or has
 * failed, which empties the lane. */
static bool deliver(struct shape *h, void (*again)(void *)) {
  while (arrived(h, &h->out)) {
    struct chunk *chunk = h->out.first;
    ssize_t n = arc_stream_write(h->transport, chunk->data + chunk->at,
                                 chunk->n - chunk->at);
    if (n == ARC_AGAIN) {
      arc_stream_want_write(h->transport, again, h);
      return false;
    }
    if (n < 0) {
      empty(&h->out);
      arc_stream_fail(&h->s, arc_err_ref(h->transport->err));
      return false;
    }
    consume(&h->out, (size_t)n);
  }
  return true;
}

/* May free the shape: comes last. */
static void pump_out(void *arg) {
  struct shape *h = arg;
  bool sent = deliver(h, pump_out);
  if (h->out.held < h->line.absorbs) {
    arc_stream_writable(&h->s);
  }
  if (h->out.first && sent) {
    arc_timer_start(h->s.loop, &h->out.timer, h->out.first->due, pump_out, h);
  } else if (!h->out.first && h->parting != STAY && h->parting != SHUT) {
    if (h->s.err || h->part_due <= arc_loop_now(h->s.loop)) {
      part(h);
    } else {
      arc_timer_start(h->s.loop, &h->out.timer, h->part_due, pump_out, h);
    }
  }
}

static ssize_t shape_write(struct arc_stream *s, const void *from, size_t n) {
  struct shape *h = (struct shape *)s;
  if (s->err) {
    return ARC_FAILED;
  }
  if (h->parting != STAY) {
    return arc_stream_fail(
        s,
        arc_err_new(ARC_E_CLOSED, "write to %s after its shutdown", s->name));
  }
  if (h->out.held >= h->line.absorbs) {
    return ARC_AGAIN;
  }
  n = n < CHUNK ? n : CHUNK;
  bool idle = !h->out.first;
  int64_t due = arrival(h, &h->out, 0, n);
  if (!put(&h->out, from, n, due)) {
    return arc_stream_fail(s, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
  if (idle) {
    arc_timer_start(s->loop, &h->out.timer, due, pump_out, h);
  }
  return (ssize_t)n;
}

static void shape_want_write(struct arc_stream *s) {
  struct shape *h = (struct shape *)s;
  if (s->err || h->parting != STAY || h->out.held < h->line.absorbs) {
    arc_stream_writable(s);
  }
}

/* The word that we part travels behind the last byte. */
static void set_parting(struct shape *h, enum parting how) {
  h->parting = how;
  h->part_due = arrival(h, &h->out, 0, 0);
  if (!h->out.first) {
    arc_timer_start(h->s.loop, &h->out.timer, h->part_due, pump_out, h);
  }
}

static void shape_shutdown(struct arc_stream *s) {
  struct shape *h = (struct shape *)s;
  if (h->parting == STAY) {
    set_parting(h, SHUTDOWN);
  }
}

static void give_up(void *arg) { part(arg); }

static void leave(struct shape *h, enum parting how) {
  h->orphan = true;
  arc_loop_count(h->s.loop, ARC_N_LINGERS, 1);
  arc_timer_stop(h->s.loop, &h->in.timer);
  empty(&h->in);
  arc_timer_start(h->s.loop, &h->linger, arc_loop_now(h->s.loop) + LINGER_MS,
                  give_up, h);
  if (!h->ended) {
    arc_stream_want_read(h->transport, pump_in, h);
  }
  set_parting(h, how);
}

static void shape_close(struct arc_stream *s) {
  leave((struct shape *)s, CLOSE);
}

/* What was sent before the reset arrives before it. */
static void shape_abort(struct arc_stream *s, struct arc_err *why) {
  (void)why;
  leave((struct shape *)s, ABORT);
}

static const struct arc_stream_class shape_class = {
    .kind = "shape",
    .read = shape_read,
    .write = shape_write,
    .want_read = shape_want_read,
    .want_write = shape_want_write,
    .shutdown = shape_shutdown,
    .close = shape_close,
    .abort = shape_abort,
};

struct arc_stream *arc_shape_new(struct arc_stream *transport,
                                 const struct arc_line *line) {
  struct shape *h = calloc(1, sizeof *h);
  if (!h) {
    arc_stream_abort(transport, NULL);
    return NULL;
  }
  arc_stream_init(&h->s, transport->loop, &shape_class, transport->name);
  h->transport = transport;
  h->line = *line;
  h->opens = (double)arc_loop_now(transport->loop) + line->opens;
  arc_stream_want_read(transport, pump_in, h);
  return &h->s;
}
