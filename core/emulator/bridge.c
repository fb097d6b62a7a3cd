/* SPDX-License-Identifier: MIT */
#include "emulator/bridge.h"

#include <stdlib.h>
#include <string.h>

#include "emulator/frameq.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/utf8.h"

enum {
  READ_MAX = 64 * 1024,
  TURN_MAX = 256 * 1024, /* bytes, before others have theirs */
  LINGER_MS = 5000
};

struct bridge;

struct end {
  struct bridge *bridge;
  struct arc_stream *stream;
  struct arc_buf raw;    /* came, not passed on */
  struct arc_frameq out; /* for this side */
  struct arc_wshead head;
  uint64_t left; /* of the frame that head belongs to */
  uint64_t done; /* of its payload, passed on */
  bool in_frame, in_message;
  bool readable, blocked;
  bool got_close;  /* it has said all */
  bool sent_close; /* it has been told so */
  bool gone;       /* its connection has failed */
  bool deaf;       /* what it sends makes no sense any more */
  bool pong_due;
  uint8_t control[ARC_WS_CONTROL_MAX]; /* the last Ping's payload, then the
                                          Close's */
  size_t n_control;
};

struct bridge {
  struct arc_op op;
  struct end ends[2];
  struct arc_bridge_rules rules;
  struct arc_bridge_report report;
  struct arc_timer idle, timer;
  struct arc_ready again;
  int64_t heard; /* when bytes came, or were taken, last */
  bool ending;   /* both have been told that it is over */
};

static struct end *other(struct end *e) {
  return &e->bridge->ends[e == &e->bridge->ends[0]];
}

static struct arc_loop *loop_of(struct bridge *b) { return b->op.loop; }

/* ---- what is told ---- */

static void note(struct end *e, int code, const char *how) {
  struct bridge *b = e->bridge;
  if (!b->report.how) {
    b->report.how = how;
    b->report.code = code;
    b->report.first = e == &b->ends[ARC_BRIDGE_SENDER] ? ARC_BRIDGE_SENDER
                                                       : ARC_BRIDGE_LISTENER;
  }
}

static void add_close(struct end *e, const void *payload, size_t n) {
  struct arc_wshead head = {.fin = true, .opcode = ARC_WSOP_CLOSE};
  if (e->sent_close || e->gone) {
    return;
  }
  e->sent_close = true;
  head.length = n;
  uint8_t *to = arc_frameq_add(&e->out, &head);
  if (to) {
    memcpy(to, payload, n);
  } else {
    e->gone = true;
  }
}

static void add_code(struct end *e, int code, const char *reason) {
  uint8_t payload[ARC_WS_CONTROL_MAX];
  size_t n = strnlen(reason, sizeof payload - 2);
  payload[0] = (uint8_t)(code >> 8);
  payload[1] = (uint8_t)code;
  memcpy(payload + 2, reason, n);
  add_close(e, payload, n + 2);
}

/* ---- the end ---- */

static void unhook(struct bridge *b) {
  arc_timer_stop(loop_of(b), &b->idle);
  arc_timer_stop(loop_of(b), &b->timer);
  arc_ready_cancel(loop_of(b), &b->again);
}

static void let_go(struct end *e, bool orderly) {
  struct arc_stream *stream = e->stream;
  e->stream = NULL;
  arc_buf_free(&e->raw);
  arc_frameq_free(&e->out);
  if (orderly && !e->gone) {
    arc_stream_close(stream);
  } else {
    arc_stream_abort(stream, NULL);
  }
}

static void finish(struct bridge *b, bool orderly) {
  unhook(b);
  let_go(&b->ends[0], orderly);
  let_go(&b->ends[1], orderly);
  arc_op_finish(&b->op, NULL);
}

static bool is_over(const struct end *e) {
  return e->gone || (e->sent_close && e->got_close && !e->out.first);
}

static void give_up(void *arg) {
  struct bridge *b = arg;
  int64_t due = b->heard + LINGER_MS;
  if (arc_loop_now(loop_of(b)) < due) { // a slow reader still takes its share
    arc_timer_start(loop_of(b), &b->timer, due, give_up, b);
    return;
  }
  for (int i = 0; i < 2; i++) {
    struct end *e = &b->ends[i];
    e->gone = e->gone || e->out.first; // it did not even take its Close
  }
  finish(b, true);
}

/* Both are told; their answers are waited for, and nothing is passed on. */
static void wind_up(struct bridge *b, int code, const char *reason) {
  b->ending = true;
  add_code(&b->ends[0], code, reason);
  add_code(&b->ends[1], code, reason);
  arc_timer_start(loop_of(b), &b->timer, arc_loop_now(loop_of(b)) + LINGER_MS,
                  give_up, b);
}

static void settle(void *arg);

static void no_answer(void *arg) {
  struct bridge *b = arg;
  int64_t due = b->heard + b->rules.patience;
  if (arc_loop_now(loop_of(b)) < due) { // the other side is still speaking
    arc_timer_start(loop_of(b), &b->timer, due, no_answer, b);
    return;
  }
  for (int i = 0; i < 2; i++) {
    if (b->ends[i].got_close) {
      add_close(&b->ends[i], b->ends[i].control, b->ends[i].n_control);
    }
  }
  wind_up(b, 1000, "");
  settle(b);
}

static void on_idle(void *arg) {
  struct bridge *b = arg;
  int64_t due = b->heard + b->rules.idle;
  if (arc_loop_now(loop_of(b)) < due) {
    arc_timer_start(loop_of(b), &b->idle, due, on_idle, b);
    return;
  }
  if (!b->report.how) {
    b->report.how = "idle";
    b->report.code = 1001;
  }
  wind_up(b, 1001, "the connection was idle");
  settle(b);
}

static void lost(struct end *e) {
  struct bridge *b = e->bridge;
  e->gone = true;
  arc_frameq_free(&e->out);
  arc_buf_free(&e->raw);
  if (e->got_close || b->ending) {
    return; // it has left without waiting for the answer
  }
  note(e, 1006, "abort");
  if (b->rules.reset) {
    other(e)->gone = true;
  } else {
    wind_up(b, 1011, "the other side broke off");
  }
}

static void broken(struct end *e, int code, const char *why) {
  note(e, code, "protocol");
  e->deaf = true;
  add_code(e, code, why);
  wind_up(e->bridge, 1011, "the other side broke the WebSocket protocol");
}

/* ---- frames ---- */

static void take_close(struct end *e, const uint8_t *payload, size_t n) {
  int code = n >= 2 ? payload[0] << 8 | payload[1] : 1005;
  if (n == 1 || (n && !arc_ws_code_valid(code))) {
    broken(e, 1002, "an impossible close code");
    return;
  }
  if (n && !arc_utf8_valid((const char *)payload + 2, n - 2)) {
    broken(e, 1007, "a close reason that is not UTF-8");
    return;
  }
  note(e, code, "close");
  e->got_close = true;
  e->pong_due = false;
  e->n_control = n;
  memcpy(e->control, payload, n);
  add_close(other(e), payload, n);
  if (!e->sent_close) {
    struct bridge *b = e->bridge;
    arc_timer_start(loop_of(b), &b->timer,
                    arc_loop_now(loop_of(b)) + b->rules.patience, no_answer, b);
  }
}

/* False: it is not all there yet. */
static bool take_control(struct end *e, size_t n_head) {
  uint8_t payload[ARC_WS_CONTROL_MAX];
  size_t n = (size_t)e->head.length;
  if (arc_buf_len(&e->raw) < n_head + n) {
    return false;
  }
  arc_ws_mask(payload, arc_buf_head(&e->raw) + n_head, n, e->head.mask, 0);
  arc_buf_consume(&e->raw, n_head + n);
  if (e->head.opcode == ARC_WSOP_CLOSE) {
    take_close(e, payload, n);
  } else if (e->head.opcode == ARC_WSOP_PING) {
    e->pong_due = true; // only the newest is answered
    e->n_control = n;
    memcpy(e->control, payload, n);
  }
  return true;
}

static const char *misplaced(const struct end *e) {
  bool control = e->head.opcode & 8;
  if (!e->head.masked) {
    return "a frame is not masked";
  }
  if (control || (e->head.opcode == ARC_WSOP_CONTINUATION) == e->in_message) {
    return NULL;
  }
  return e->in_message ? "a message inside a message"
                       : "a continuation of no message";
}

/* True: there is more to take from what has come. */
static bool take_head(struct end *e) {
  const char *why = NULL;
  int n = arc_wshead_read(arc_buf_head(&e->raw), arc_buf_len(&e->raw), &e->head,
                          &why);
  if (n > 0) {
    why = misplaced(e);
  }
  if (why) {
    broken(e, 1002, why);
    return false;
  }
  if (!n) {
    return false;
  }
  if (e->head.opcode & 8) {
    return take_control(e, (size_t)n);
  }
  arc_buf_consume(&e->raw, (size_t)n);
  e->in_frame = true;
  e->left = e->head.length;
  e->done = 0;
  return true;
}

/* Passes on what there is of a frame, as a frame of its own: so a frame of any
 * length is never held, and a control frame may leave at any time. */
static bool take_payload(struct end *e) {
  size_t n = arc_buf_len(&e->raw);
  n = n < e->left ? n : (size_t)e->left;
  if (!n && e->left) {
    return false;
  }
  struct end *to = other(e);
  bool last = n == e->left;
  struct arc_wshead head = {.fin = last && e->head.fin,
                            .opcode = e->done ? ARC_WSOP_CONTINUATION
                                              : e->head.opcode,
                            .length = n};
  if (!to->gone && !to->sent_close) {
    uint8_t *room = arc_frameq_add(&to->out, &head);
    if (!room) {
      lost(to);
      return false;
    }
    arc_ws_mask(room, arc_buf_head(&e->raw), n, e->head.mask, e->done);
  }
  arc_buf_consume(&e->raw, n);
  e->bridge->report.bytes[e != &e->bridge->ends[0]] += n;
  e->left -= n;
  e->done += n;
  e->in_frame = !last;
  e->in_message = !head.fin;
  return true;
}

static void decode(struct end *e) {
  bool more = true;
  while (more && !e->got_close && !e->gone && !e->deaf) {
    more = e->in_frame ? take_payload(e) : take_head(e);
  }
}

/* ---- bytes ---- */

static void on_readable(void *arg) {
  struct end *e = arg;
  e->readable = true;
  settle(e->bridge);
}

static void on_writable(void *arg) {
  struct end *e = arg;
  e->blocked = false;
  settle(e->bridge);
}

/* Bytes that came, or ARC_AGAIN, or the end. */
static ssize_t fetch(struct end *e) {
  size_t had = arc_buf_len(&e->raw);
  ssize_t n = 1;
  while (n > 0 && arc_buf_len(&e->raw) - had < READ_MAX) {
    size_t room = READ_MAX - (arc_buf_len(&e->raw) - had);
    uint8_t *to = arc_buf_reserve(&e->raw, room);
    n = to ? arc_stream_read(e->stream, to, room) : ARC_FAILED;
    arc_buf_commit(&e->raw, n > 0 ? (size_t)n : 0);
  }
  size_t got = arc_buf_len(&e->raw) - had;
  if (n == ARC_AGAIN) {
    e->readable = false;
    arc_stream_want_read(e->stream, on_readable, e);
  }
  return got ? (ssize_t)got : n;
}

static bool may_read(struct end *e) {
  const struct end *to = other(e);
  bool heard_all = e->got_close || e->gone;
  return e->readable && !heard_all &&
         (to->gone || to->out.bytes < e->bridge->rules.budget);
}

/* Reads and passes on. */
static void pump(struct end *e) {
  struct bridge *b = e->bridge;
  size_t turn = 0;
  while (turn < TURN_MAX && may_read(e)) {
    ssize_t n = fetch(e);
    if (n == ARC_AGAIN) {
      return;
    }
    if (n <= 0) {
      lost(e);
      return;
    }
    turn += (size_t)n;
    if (!b->ending) { // from then on only taking counts
      b->heard = arc_loop_now(loop_of(b));
    }
    decode(e);
    if (e->deaf || !arc_buf_len(&e->raw)) {
      arc_buf_free(&e->raw); // an idle connection holds no buffer
    }
  }
}

static void flush(struct end *e) {
  if (e->gone || e->blocked) {
    return;
  }
  if (e->pong_due && !e->out.control && !e->sent_close) {
    e->pong_due = false;
    arc_frameq_soon(&e->out, ARC_WSOP_PONG, e->control, e->n_control);
  }
  size_t before = e->out.bytes;
  ssize_t rc = arc_frameq_flush(&e->out, e->stream);
  if (e->out.bytes < before) {
    e->bridge->heard = arc_loop_now(loop_of(e->bridge));
  }
  switch (rc) {
  case ARC_AGAIN:
    e->blocked = true;
    arc_stream_want_write(e->stream, on_writable, e);
    break;
  case ARC_FAILED:
    lost(e);
    break;
  default:
    break;
  }
}

/* After anything happened; may finish the bridge, so it comes last. */
static void settle(void *arg) {
  struct bridge *b = arg;
  for (int i = 0; i < 2; i++) {
    flush(&b->ends[i]); // room for what the other side has to say
  }
  for (int i = 0; i < 2; i++) {
    pump(&b->ends[i]);
  }
  for (int i = 0; i < 2; i++) {
    flush(&b->ends[i]);
  }
  bool gone = b->ends[0].gone && b->ends[1].gone;
  if (gone || (is_over(&b->ends[0]) && is_over(&b->ends[1]))) {
    finish(b, !gone);
  } else if (may_read(&b->ends[0]) || may_read(&b->ends[1])) {
    arc_ready_post(loop_of(b), &b->again);
  }
}

/* ---- the operation ---- */

static void detach(struct arc_op *op) {
  struct bridge *b = (struct bridge *)op;
  unhook(b);
  let_go(&b->ends[0], false);
  let_go(&b->ends[1], false);
}

static bool set_up(struct bridge *b, const struct arc_bridge_side sides[2]) {
  bool ok = true;
  for (int i = 0; i < 2; i++) {
    struct end *e = &b->ends[i];
    e->bridge = b;
    e->stream = sides[i].stream;
    e->readable = true;
    ok = arc_buf_append(&e->raw, sides[i].early, sides[i].n_early) && ok;
  }
  b->report.first = -1;
  return ok;
}

static void start(void *arg) {
  struct bridge *b = arg;
  arc_ready_init(&b->again, settle, b);
  decode(&b->ends[0]); // what came early
  decode(&b->ends[1]);
  settle(b);
}

struct arc_op *arc_bridge(const struct arc_bridge_side sides[2],
                          const struct arc_bridge_rules *rules) {
  static const struct arc_op_class cls = {"server.bridge", detach, NULL};
  struct arc_loop *loop = sides[0].stream->loop;
  struct bridge *b = arc_op_new(loop, &cls, sizeof *b, ARC_FOREVER);
  if (!b) {
    arc_stream_abort(sides[0].stream, NULL);
    arc_stream_abort(sides[1].stream, NULL);
    return NULL;
  }
  b->rules = *rules;
  b->heard = arc_loop_now(loop);
  if (!set_up(b, sides)) {
    arc_op_cancel(&b->op, arc_err_new(ARC_E_NOMEM, "out of memory"));
    return &b->op;
  }
  if (rules->idle) {
    arc_timer_start(loop, &b->idle, b->heard + rules->idle, on_idle, b);
  }
  arc_ready_init(&b->again, start, b);
  arc_ready_post(loop, &b->again);
  return &b->op;
}

const struct arc_bridge_report *arc_bridge_told(const struct arc_op *op) {
  return &((const struct bridge *)op)->report;
}
