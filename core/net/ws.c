/* SPDX-License-Identifier: MIT */
#include "net/ws.h"

#include <stdlib.h>
#include <string.h>

#include "net/wsframe.h"
#include "util/err.h"

enum {
  MESSAGE_MAX = 32 * 1024,
  OUT_MARK = MESSAGE_MAX, /* above it a write must wait */
  PUMP_MAX = 256 * 1024,  /* bytes a turn, before others have theirs */
  READ_MAX = 64 * 1024,
  SEND_NOW = 16 * 1024, /* a TLS record is full: why wait for more */
  PING_MS = 30 * 1000,
  DEAD_MS = 90 * 1000,        /* nothing came although we pinged */
  HALF_CLOSED_MS = 10 * 1000, /* nothing moved after our Close */
  IN_FLIGHT_MAX = 16 * 1024 * 1024,
  SLOWEST = 32, /* bytes a millisecond that a peer in use takes */
  LINGER_MS = 5 * 1000
};

struct ws {
  struct arc_stream s;
  struct arc_stream *transport;
  struct arc_wsframes *frames;
  struct arc_buf raw; /* came, not decoded */
  struct arc_buf in;  /* payload, not read */
  struct arc_buf out; /* frames, not sent */
  struct arc_ready again, send;
  bool waiting; /* the transport has no more and will tell of what comes */
  struct arc_timer ping, linger;
  int64_t heard;    /* when something came last */
  int64_t moved;    /* when something came or went last */
  uint64_t unheard; /* bytes that went since something came */
  uint8_t pong[ARC_WS_CONTROL_MAX];
  size_t n_pong;
  bool pong_due;
  uint8_t close[ARC_WS_CONTROL_MAX]; /* our Close's payload */
  size_t n_close;
  bool close_due, close_sent;
  bool ended;           /* nothing more will come */
  struct arc_err *end;  /* why; NULL = the peer's orderly Close */
  struct arc_err *mute; /* why nothing more can be sent */
  bool orphan;          /* closed by its user, lingers */
};

static void settle(struct ws *ws);

static void free_ws(struct ws *ws) {
  arc_ready_cancel(ws->s.loop, &ws->again);
  arc_ready_cancel(ws->s.loop, &ws->send);
  arc_timer_stop(ws->s.loop, &ws->ping);
  arc_timer_stop(ws->s.loop, &ws->linger);
  if (ws->orphan) {
    arc_loop_count(ws->s.loop, ARC_N_LINGERS, -1);
  }
  arc_wsframes_free(ws->frames);
  arc_buf_free(&ws->raw);
  arc_buf_free(&ws->in);
  arc_buf_free(&ws->out);
  arc_err_unref(ws->end);
  arc_err_unref(ws->mute);
  arc_stream_fini(&ws->s);
  free(ws);
}

/* Nothing more will come. Takes err over; NULL = orderly. */
static void end(struct ws *ws, struct arc_err *err) {
  if (ws->ended) {
    arc_err_unref(err);
    return;
  }
  ws->ended = true;
  ws->end = err;
  arc_timer_stop(ws->s.loop, &ws->ping);
  arc_stream_readable(&ws->s);
  arc_stream_writable(&ws->s);
}

static void want_close(struct ws *ws, int code, const char *reason) {
  if (ws->close_due || ws->close_sent) {
    return;
  }
  size_t n = strnlen(reason, ARC_WS_CONTROL_MAX - 2);
  ws->close_due = true;
  ws->n_close = code ? n + 2 : 0;
  ws->close[0] = (uint8_t)(code >> 8);
  ws->close[1] = (uint8_t)code;
  memcpy(ws->close + 2, reason, n);
}

/* ---- sending ---------------------------------------------------------------
 */

/* A frame that was not sent will never be answered: reading ends, too. */
static void encode(struct ws *ws, enum arc_wsopcode opcode, const void *payload,
                   size_t n) {
  if (!arc_wsframes_encode(ws->frames, &ws->out, opcode, payload, n)) {
    ws->mute = ws->mute ? ws->mute : arc_err_new(ARC_E_NOMEM, "out of memory");
    end(ws, arc_err_ref(ws->mute));
  }
}

/* Control frames that are due; the Close goes last. */
static void encode_due(struct ws *ws) {
  if (ws->pong_due && !ws->close_sent && arc_buf_len(&ws->out) <= OUT_MARK) {
    ws->pong_due = false;
    encode(ws, ARC_WSOP_PONG, ws->pong, ws->n_pong);
  }
  if (ws->close_due && !ws->close_sent) {
    ws->close_sent = true;
    encode(ws, ARC_WSOP_CLOSE, ws->close, ws->n_close);
  }
}

static void on_writable(void *arg) { settle(arg); }

/* What cannot be sent any more is dropped: reading tells why. */
static void flush(struct ws *ws) {
  arc_ready_cancel(ws->s.loop, &ws->send);
  encode_due(ws);
  while (!ws->mute && arc_buf_len(&ws->out)) {
    ssize_t n = arc_stream_write(ws->transport, arc_buf_head(&ws->out),
                                 arc_buf_len(&ws->out));
    if (n == ARC_AGAIN) {
      arc_stream_want_write(ws->transport, on_writable, ws);
      break;
    }
    if (n == ARC_FAILED) {
      ws->mute = arc_err_ref(ws->transport->err);
      break;
    }
    arc_buf_consume(&ws->out, (size_t)n);
    ws->unheard += (uint64_t)n;
    ws->moved = arc_loop_now(ws->s.loop);
    encode_due(ws);
  }
  if (ws->mute) {
    arc_buf_free(&ws->out);
  }
  arc_buf_trim(&ws->out);
  if (arc_buf_len(&ws->out) <= OUT_MARK) {
    arc_stream_writable(&ws->s);
  }
}

static void on_turn(void *arg) { flush(arg); }

/* ---- receiving -------------------------------------------------------------
 */

static void answer_late(void *arg) {
  want_close(arg, 1000, "");
  settle(arg);
}

/* The peer's Close: ours follows when our user has said all, or soon. */
static void take_close(struct ws *ws, const struct arc_wsnews *news) {
  if (news->code && news->code != 1000) {
    struct arc_err *err = arc_err_reason(
        "relay.reset", "%s was closed by its peer with code %d%s%s", ws->s.name,
        news->code, news->n_control > 2 ? ": " : "",
        news->n_control > 2 ? (const char *)news->control + 2 : "");
    err->status = news->code;
    want_close(ws, news->code, "");
    end(ws, err);
    return;
  }
  if (!ws->orphan && !ws->close_sent) {
    arc_timer_start(ws->s.loop, &ws->linger,
                    arc_loop_now(ws->s.loop) + LINGER_MS, answer_late, ws);
  }
  end(ws, NULL);
}

static void decode(struct ws *ws) {
  struct arc_wsnews news;
  while (!ws->ended) {
    switch (arc_wsframes_decode(ws->frames, &ws->raw, &ws->in,
                                ARC_STREAM_BUFFER, &news)) {
    case ARC_WS_MORE:
    case ARC_WS_FULL:
      return;
    case ARC_WS_PING: // only the newest is answered
      ws->pong_due = true;
      ws->n_pong = news.n_control;
      memcpy(ws->pong, news.control, news.n_control);
      break;
    case ARC_WS_CLOSE:
      take_close(ws, &news);
      break;
    case ARC_WS_BAD:
      want_close(ws, news.code, news.why);
      end(ws, arc_err_new(ARC_E_PROTOCOL,
                          "the peer of %s broke the WebSocket "
                          "protocol: %s",
                          ws->s.name, news.why));
      break;
    }
  }
}

static struct arc_err *lost(struct ws *ws, struct arc_err *cause) {
  struct arc_err *err = arc_err_reason(
      "relay.reset", "%s broke off without a Close%s%s", ws->s.name,
      cause ? ": " : "", cause ? cause->message : "");
  err->status = 1006;
  arc_err_because(err, cause);
  return err;
}

/* The peer lives, or it is not the peer whom we wait for. */
static void note_sound(struct ws *ws) {
  ws->heard = ws->moved = arc_loop_now(ws->s.loop);
  ws->unheard = 0;
}

/* Bytes that came, or AGAIN, or the end. */
static ssize_t fetch(struct ws *ws) {
  uint8_t *to = arc_buf_reserve(&ws->raw, READ_MAX);
  if (!to) {
    end(ws, arc_err_new(ARC_E_NOMEM, "out of memory"));
    return ARC_FAILED;
  }
  ssize_t n = arc_stream_read(ws->transport, to, READ_MAX);
  if (n == 0 || n == ARC_FAILED) {
    end(ws, lost(ws, n ? ws->transport->err : NULL));
  } else if (n > 0) {
    arc_buf_commit(&ws->raw, (size_t)n);
    note_sound(ws);
  }
  return n;
}

static void on_again(void *arg) { settle(arg); }

static void on_readable(void *arg) {
  ((struct ws *)arg)->waiting = false;
  settle(arg);
}

/* Reads ahead, up to the mark, so that pings are answered and a Close is seen
 * also while nobody reads. */
static void receive(struct ws *ws) {
  size_t budget = PUMP_MAX;
  while (true) {
    decode(ws);
    if (ws->orphan) {
      arc_buf_free(&ws->in);
    }
    if (ws->ended || ws->waiting || arc_buf_len(&ws->in) >= ARC_STREAM_BUFFER) {
      return;
    }
    if (budget < READ_MAX) {
      arc_ready_post(ws->s.loop, &ws->again);
      return;
    }
    ssize_t n = fetch(ws);
    if (n == ARC_AGAIN) {
      ws->waiting = true;
      arc_buf_trim(&ws->raw);
      arc_buf_trim(&ws->in);
      arc_stream_want_read(ws->transport, on_readable, ws);
      return;
    }
    budget -= n > 0 ? (size_t)n : 0;
  }
}

/* ---- driving ---------------------------------------------------------------
 */

/* Has a closed stream nothing left to do? */
static bool is_over(const struct ws *ws) {
  return ws->ended &&
         (ws->mute || ws->end || (ws->close_sent && !arc_buf_len(&ws->out)));
}

static void leave(struct ws *ws) {
  struct arc_stream *transport = ws->transport;
  bool orderly = ws->close_sent && !ws->mute && !arc_buf_len(&ws->out);
  free_ws(ws);
  if (orderly) {
    arc_stream_close(transport);
  } else {
    arc_stream_abort(transport, NULL);
  }
}

/* After anything happened; may free an orphan, so it comes last. */
static void settle(struct ws *ws) {
  if (!ws->ended) {
    receive(ws);
  }
  flush(ws);
  if (arc_buf_len(&ws->in) || ws->ended) {
    arc_stream_readable(&ws->s);
  }
  if (ws->orphan && is_over(ws)) {
    leave(ws);
  }
}

static void give_up(void *arg) { leave(arg); }

/* When the silence has lasted too long, if it goes on. What went out stands in
 * front of our pings: relay and network hold up to 16 MB of it, and at the
 * pace of a slow link that may take minutes. After our Close, a peer that
 * neither sends nor takes anything has little time. */
static int64_t end_of_patience(const struct ws *ws) {
  uint64_t ahead =
      ws->unheard < IN_FLIGHT_MAX ? ws->unheard : (uint64_t)IN_FLIGHT_MAX;
  int64_t more = (int64_t)(ahead / SLOWEST);
  return ws->close_sent ? ws->moved + HALF_CLOSED_MS + more
                        : ws->heard + DEAD_MS + more;
}

static void keep_alive(void *arg);

static void watch_silence(struct ws *ws) {
  int64_t next = arc_loop_now(ws->s.loop) + PING_MS;
  int64_t last = end_of_patience(ws);
  arc_timer_start(ws->s.loop, &ws->ping, next < last ? next : last, keep_alive,
                  ws);
}

static void declare_dead(struct ws *ws) {
  int seconds = (int)((arc_loop_now(ws->s.loop) - ws->heard) / 1000);
  end(ws, arc_err_reason("relay.reset",
                         ws->close_sent
                             ? "nothing came on %s for %d seconds, not even "
                               "an answer to our Close"
                             : "nothing came on %s for %d seconds, not even "
                               "answers to pings",
                         ws->s.name, seconds));
  settle(ws);
}

/* Silence is no fault of a peer that our own user keeps waiting, nor of one
 * whose host says that it is alive: a reader may stall for long. */
static void keep_alive(void *arg) {
  struct ws *ws = arg;
  if (arc_buf_len(&ws->in) >= ARC_STREAM_BUFFER ||
      arc_stream_held_up(ws->transport)) {
    note_sound(ws);
  }
  if (arc_loop_now(ws->s.loop) >= end_of_patience(ws)) {
    declare_dead(ws);
    return;
  }
  if (!ws->close_sent && arc_buf_len(&ws->out) <= OUT_MARK) {
    encode(ws, ARC_WSOP_PING, "", 0);
  }
  flush(ws);
  if (!ws->ended) {
    watch_silence(ws);
  }
}

/* ---- the stream ------------------------------------------------------------
 */

static ssize_t ws_read(struct arc_stream *s, void *to, size_t n) {
  struct ws *ws = (struct ws *)s;
  if (!arc_buf_len(&ws->in) && !ws->ended) {
    receive(ws);
    flush(ws);
  }
  size_t got = arc_buf_take(&ws->in, to, n);
  if (got) {
    if (!ws->ended && !ws->waiting &&
        arc_buf_len(&ws->in) < ARC_STREAM_BUFFER / 2) {
      arc_ready_post(s->loop, &ws->again);
    }
    return (ssize_t)got;
  }
  if (!ws->ended) {
    return ARC_AGAIN;
  }
  return ws->end ? arc_stream_fail(s, arc_err_ref(ws->end)) : 0;
}

static ssize_t ws_write(struct arc_stream *s, const void *from, size_t n) {
  struct ws *ws = (struct ws *)s;
  struct arc_err *why = ws->end ? ws->end : ws->mute;
  if (why) {
    return arc_stream_fail(s, arc_err_ref(why));
  }
  if (ws->close_due || ws->close_sent) {
    return arc_stream_fail(
        s, arc_err_new(ARC_E_CLOSED, "%s is closed for writing", s->name));
  }
  if (arc_buf_len(&ws->out) > OUT_MARK) {
    return ARC_AGAIN;
  }
  n = n < MESSAGE_MAX ? n : MESSAGE_MAX;
  encode(ws, ARC_WSOP_BINARY, from, n);
  if (arc_buf_len(&ws->out) >= SEND_NOW) {
    flush(ws);
  } else { // more may come in this turn: one record, one system call
    arc_ready_post(s->loop, &ws->send);
  }
  return (ssize_t)n;
}

static void ws_want_read(struct arc_stream *s) {
  struct ws *ws = (struct ws *)s;
  if (arc_buf_len(&ws->in) || ws->ended) {
    arc_stream_readable(s);
  }
}

static void ws_want_write(struct arc_stream *s) {
  struct ws *ws = (struct ws *)s;
  if (ws->end || ws->mute || arc_buf_len(&ws->out) <= OUT_MARK) {
    arc_stream_writable(s);
  }
}

/* From here on the peer has less time. */
static void say_close(struct ws *ws) {
  flush(ws);
  if (!ws->ended) {
    ws->moved = arc_loop_now(ws->s.loop);
    watch_silence(ws);
  }
}

static void ws_shutdown(struct arc_stream *s) {
  struct ws *ws = (struct ws *)s;
  want_close(ws, 1000, "");
  say_close(ws);
}

static void ws_close(struct arc_stream *s) {
  struct ws *ws = (struct ws *)s;
  ws->orphan = true;
  arc_loop_count(s->loop, ARC_N_LINGERS, 1);
  arc_buf_free(&ws->in);
  want_close(ws, 1000, "");
  arc_timer_start(s->loop, &ws->linger, arc_loop_now(s->loop) + LINGER_MS,
                  give_up, ws);
  arc_ready_post(s->loop, &ws->again); // settle may free: not in our caller
}

static void ws_abort(struct arc_stream *s, struct arc_err *why) {
  struct ws *ws = (struct ws *)s;
  struct arc_stream *transport = ws->transport;
  free_ws(ws);
  arc_stream_abort(transport, why);
}

static const struct arc_stream_class ws_class = {
    .kind = "websocket",
    .read = ws_read,
    .write = ws_write,
    .want_read = ws_want_read,
    .want_write = ws_want_write,
    .shutdown = ws_shutdown,
    .close = ws_close,
    .abort = ws_abort,
};

struct arc_stream *arc_ws_new(struct arc_loop *loop,
                              struct arc_stream *transport,
                              enum arc_ws_role role, const void *early,
                              size_t n_early, const char *name) {
  struct ws *ws = calloc(1, sizeof *ws);
  struct arc_wsframes *frames = ws ? arc_wsframes_new(role) : NULL;
  if (!frames || !arc_buf_append(&ws->raw, early, n_early)) {
    arc_wsframes_free(frames);
    free(ws);
    arc_stream_abort(transport, NULL);
    return NULL;
  }
  struct arc_buf raw = ws->raw;
  arc_stream_init(&ws->s, loop, &ws_class, name);
  ws->raw = raw;
  ws->transport = transport;
  ws->frames = frames;
  note_sound(ws);
  arc_ready_init(&ws->again, on_again, ws);
  arc_ready_init(&ws->send, on_turn, ws);
  arc_ready_post(loop, &ws->again);
  watch_silence(ws);
  return &ws->s;
}

void arc_ws_close_with(struct arc_stream *s, int code, const char *reason) {
  struct ws *ws = (struct ws *)s;
  want_close(ws, code, reason);
  say_close(ws);
}
