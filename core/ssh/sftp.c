/* SPDX-License-Identifier: MIT */
/* The connection: version, packets in and out, whom an answer is for. */
#include "ssh/sftp.h"

#include <stdlib.h>
#include <string.h>

#include "ssh/sftp_room.h"
#include "util/err.h"

enum {
  VERSION = 3,
  PACKET_MAX = 256 * 1024, /* as OpenSSH's */
  CHUNK = 32 * 1024,       /* read at a time */
  READS = 32,              /* of these before others have their turn */
  FILL = 64 * 1024,        /* producers stop when so much waits to go */
  SMALL = 8 * 1024,        /* our own use of memory for an idle connection */
  QUOTED = 60
};

struct connect_op {
  struct arc_op op;
  struct arc_sftp *sftp; /* NULL: taken, or failed */
};

static const char *const extensions[ARC_SFTP_EXTENSIONS] = {
    "posix-rename@openssh.com", "fsync@openssh.com", "statvfs@openssh.com",
    "limits@openssh.com", "copy-data"};

const char *arc_sftp_extension_name(enum arc_sftp_extension which) {
  return extensions[which];
}

bool arc_sftp_has(const struct arc_sftp *sftp, enum arc_sftp_extension which) {
  return sftp->extensions & 1U << which;
}

const struct arc_sftp_limits *arc_sftp_limits(const struct arc_sftp *sftp) {
  return &sftp->limits;
}

/* ---- its life --------------------------------------------------------------
 */

void arc_sftp_ref(struct arc_sftp *sftp) { sftp->refs++; }

void arc_sftp_unref(struct arc_sftp *sftp) {
  if (--sftp->refs) {
    return;
  }
  arc_ready_cancel(sftp->loop, &sftp->flush);
  arc_ready_cancel(sftp->loop, &sftp->hear);
  arc_stream_close(sftp->stream);
  arc_buf_free(&sftp->in);
  arc_buf_free(&sftp->out);
  arc_err_unref(sftp->err);
  free(sftp);
}

/* Takes all requests out and tells their owners. */
static void tell_all(struct arc_sftp *sftp) {
  for (int i = 0; i < ARC_SFTP_BUCKETS; i++) {
    struct arc_sftp_request *r;
    while ((r = sftp->requests[i])) {
      struct arc_sftp_reply reply = {.err = sftp->err};
      sftp->requests[i] = r->next;
      r->answered(r->owner, r, &reply);
      free(r);
    }
  }
}

/* Whoever is told holds a reference, and gives it back later. */
void arc_sftp_fail(struct arc_sftp *sftp, struct arc_err *err) {
  if (sftp->err) {
    arc_err_unref(err);
    return;
  }
  sftp->err = err;
  struct arc_op *opening = sftp->opening;
  sftp->opening = NULL;
  arc_stream_close(sftp->stream);
  sftp->stream = NULL;
  arc_buf_free(&sftp->out);
  if (opening) {
    arc_op_finish(opening, arc_err_ref(err));
  }
  tell_all(sftp);
  while (sftp->producers) { // none produces now: each tells its owner
    struct arc_sftp_producer *p = sftp->producers;
    arc_sftp_delist(sftp, p);
    p->produce(p);
  }
}

void arc_sftp_close(struct arc_sftp *sftp) {
  arc_sftp_fail(sftp,
                arc_err_new(ARC_E_CLOSED, "the SFTP connection was closed"));
  arc_sftp_unref(sftp);
}

/* ---- sending ---------------------------------------------------------------
 */

static void flush(void *arg);

/* A stream that was closed before the server said a word had none. */
static void lose_stream(struct arc_sftp *sftp) {
  struct arc_err *why = sftp->stream->err, *err = NULL;
  if (why && (sftp->ready || why->reason)) {
    err = arc_err_ref(why);
  } else {
    err = arc_err_reason(sftp->ready ? "sftp.closed" : "sftp.unavailable",
                         "the SFTP server's connection was closed%s%s",
                         why ? ": " : "", why ? why->message : "");
  }
  arc_sftp_fail(sftp, err);
}

/* False while the stream takes no more, or it is over. */
static bool drain(struct arc_sftp *sftp) {
  size_t len;
  while (!sftp->err && (len = arc_buf_len(&sftp->out))) {
    ssize_t n = arc_stream_write(sftp->stream, arc_buf_head(&sftp->out), len);
    if (n > 0) {
      arc_buf_consume(&sftp->out, (size_t)n);
    } else if (n == ARC_AGAIN) {
      arc_stream_want_write(sftp->stream, flush, sftp);
      return false;
    } else if (!sftp->ready) {
      arc_buf_consume(&sftp->out, len); // what it has said tells more
    } else {
      lose_stream(sftp);
    }
  }
  return !sftp->err;
}

/* Each producer in turn, until enough waits to be sent. True: something was
 * made. */
static bool produce(struct arc_sftp *sftp) {
  bool made = false;
  bool again = sftp->ready;
  while (again && arc_buf_len(&sftp->out) < FILL) {
    again = false;
    for (struct arc_sftp_producer *p = sftp->producers, *next; p; p = next) {
      next = p->next;
      again |= p->produce(p);
    }
    made |= again;
  }
  return made;
}

static void flush(void *arg) {
  struct arc_sftp *sftp = arg;
  sftp->refs++;
  bool more = true;
  while (more && !sftp->err) {
    more = produce(sftp);
    more = drain(sftp) && more;
  }
  if (!sftp->err && !arc_buf_len(&sftp->out)) {
    arc_buf_trim(&sftp->out);
  }
  arc_sftp_unref(sftp);
}

void arc_sftp_kick(struct arc_sftp *sftp) {
  if (!sftp->err) {
    arc_ready_post(sftp->loop, &sftp->flush);
  }
}

void arc_sftp_enlist(struct arc_sftp *sftp, struct arc_sftp_producer *p) {
  p->prev = NULL;
  p->next = sftp->producers;
  if (p->next) {
    p->next->prev = p;
  }
  sftp->producers = p;
  arc_sftp_kick(sftp);
}

void arc_sftp_delist(struct arc_sftp *sftp, struct arc_sftp_producer *p) {
  if (p->next) {
    p->next->prev = p->prev;
  }
  if (p->prev) {
    p->prev->next = p->next;
  } else if (sftp->producers == p) {
    sftp->producers = p->next;
  }
  p->next = p->prev = NULL;
}

/* ---- hearing ---------------------------------------------------------------
 */

static void note_extension(struct arc_sftp *sftp, const uint8_t *name,
                           uint32_t n) {
  for (unsigned i = 0; i < ARC_SFTP_EXTENSIONS; i++) {
    if (strlen(extensions[i]) == n && !memcmp(extensions[i], name, n)) {
      sftp->extensions |= 1U << i;
    }
  }
}

static void note_limits(void *owner, const struct arc_sftp_request *request,
                        struct arc_sftp_reply *reply) {
  (void)request;
  struct arc_sftp *sftp = owner;
  struct arc_sftp_limits limits;
  if (!reply->err && reply->type == ARC_FXP_EXTENDED_REPLY &&
      arc_sftp_get_limits(&reply->body, &limits)) {
    sftp->limits = limits;
  }
}

static struct arc_err *not_sftp(const struct arc_cursor *cur) {
  int n = cur->left < QUOTED ? (int)cur->left : QUOTED;
  return arc_err_reason("sftp.garbage",
                        "what the machine sends is no SFTP: '%.*s'", n,
                        (const char *)cur->at);
}

/* Extensions are pairs of strings; a malformed rest is no reason to leave. */
static void hear_version(struct arc_sftp *sftp, struct arc_cursor *cur) {
  uint32_t version = arc_cursor_u32(cur);
  if (cur->failed || version != VERSION) {
    arc_sftp_fail(
        sftp, arc_err_reason("sftp.version",
                             "the server speaks SFTP version %u, we speak 3",
                             version));
    return;
  }
  while (cur->left && !cur->failed) {
    uint32_t n, ignored;
    const uint8_t *name = arc_cursor_string(cur, &n);
    arc_cursor_string(cur, &ignored);
    if (!cur->failed) {
      note_extension(sftp, name, n);
    }
  }
  sftp->ready = true;
  struct arc_op *opening = sftp->opening;
  sftp->opening = NULL;
  if (arc_sftp_has(sftp, ARC_SFTP_LIMITS)) {
    const struct arc_sftp_args none = {0};
    arc_sftp_ask(sftp, ARC_SFTP_OP_LIMITS, &none, sftp, note_limits);
  }
  arc_sftp_kick(sftp);
  if (opening) {
    arc_op_finish(opening, NULL);
  }
}

static struct arc_sftp_request *take_request(struct arc_sftp *sftp,
                                             uint32_t id) {
  struct arc_sftp_request **at = &sftp->requests[id % ARC_SFTP_BUCKETS];
  while (*at && (*at)->id != id) {
    at = &(*at)->next;
  }
  struct arc_sftp_request *r = *at;
  if (r) {
    *at = r->next;
  }
  if (r && r->kind == ARC_SFTP_OP_READ) {
    sftp->asked -= r->length;
    arc_sftp_kick(sftp);
  }
  return r;
}

/* One packet, without its length. */
static void hear_packet(struct arc_sftp *sftp, struct arc_cursor cur) {
  struct arc_sftp_reply reply = {.type = arc_cursor_u8(&cur)};
  if (!sftp->ready) {
    if (reply.type == ARC_FXP_VERSION) {
      hear_version(sftp, &cur);
    } else {
      arc_sftp_fail(sftp, arc_sftp_broken("begin", "did not say its version"));
    }
    return;
  }
  uint32_t id = arc_cursor_u32(&cur);
  struct arc_sftp_request *r = cur.failed ? NULL : take_request(sftp, id);
  if (!r) {
    arc_sftp_fail(sftp,
                  arc_sftp_broken("answer", "answered what it was not asked"));
    return;
  }
  reply.body = cur;
  r->answered(r->owner, r, &reply);
  free(r);
}

/* Handles the packets that are there whole. */
static void hear_packets(struct arc_sftp *sftp) {
  while (!sftp->err) {
    struct arc_cursor cur = {arc_buf_head(&sftp->in), arc_buf_len(&sftp->in),
                             false};
    uint32_t n = arc_cursor_u32(&cur);
    if (cur.failed) {
      return;
    }
    if (!n || n > PACKET_MAX) {
      struct arc_cursor all = {arc_buf_head(&sftp->in), arc_buf_len(&sftp->in),
                               false};
      arc_sftp_fail(sftp, sftp->ready
                              ? arc_sftp_broken("answer", "sent a packet of no "
                                                          "possible length")
                              : not_sftp(&all));
      return;
    }
    const uint8_t *body = arc_cursor_bytes(&cur, n);
    if (!body) {
      return;
    }
    hear_packet(sftp, (struct arc_cursor){body, n, false});
    arc_buf_consume(&sftp->in, sizeof n + n);
  }
}

static void ended(struct arc_sftp *sftp) {
  arc_sftp_fail(
      sftp, sftp->ready ? arc_err_reason("sftp.closed", "the SFTP server ended")
                        : arc_err_reason("sftp.unavailable",
                                         "the machine's SFTP server ended "
                                         "before it said a word"));
}

/* False: nothing more to read now. */
static bool hear_some(struct arc_sftp *sftp) {
  uint8_t *room = arc_buf_reserve(&sftp->in, CHUNK);
  if (!room) {
    arc_sftp_fail(sftp, arc_err_new(ARC_E_NOMEM, "out of memory"));
    return false;
  }
  ssize_t n = arc_stream_read(sftp->stream, room, CHUNK);
  if (n > 0) {
    arc_buf_commit(&sftp->in, (size_t)n);
    hear_packets(sftp);
    return !sftp->err;
  }
  if (n == 0) {
    ended(sftp);
  } else if (n != ARC_AGAIN) {
    lose_stream(sftp);
  }
  return false;
}

static void hear(void *arg) {
  struct arc_sftp *sftp = arg;
  int reads = READS;
  sftp->refs++;
  while (!sftp->err && hear_some(sftp) && --reads) {
  }
  if (!sftp->err && !reads) {
    arc_ready_post(sftp->loop, &sftp->hear);
  } else if (!sftp->err) {
    arc_buf_trim(&sftp->in);
    arc_stream_want_read(sftp->stream, hear, sftp);
  }
  arc_sftp_unref(sftp);
}

/* ---- beginning -------------------------------------------------------------
 */

static void drop(struct connect_op *c) {
  struct arc_sftp *sftp = c->sftp;
  c->sftp = NULL;
  if (sftp) {
    sftp->opening = NULL;
    arc_sftp_close(sftp);
  }
}

static void detach(struct arc_op *op) { drop((struct connect_op *)op); }

static void destroy(struct arc_op *op) {
  drop((struct connect_op *)op);
  free(op);
}

static struct arc_sftp *begin(struct arc_loop *loop,
                              struct arc_stream *stream) {
  static const uint8_t init[] = {0, 0, 0, 5, ARC_FXP_INIT, 0, 0, 0, VERSION};
  struct arc_sftp *sftp = calloc(1, sizeof *sftp);
  if (!sftp || !arc_buf_append(&sftp->out, init, sizeof init)) {
    free(sftp);
    return NULL;
  }
  sftp->loop = loop;
  sftp->refs = 1;
  sftp->stream = stream;
  arc_ready_init(&sftp->flush, flush, sftp);
  arc_ready_init(&sftp->hear, hear, sftp);
  return sftp;
}

struct arc_op *arc_sftp_connect(struct arc_stream *stream, double timeout) {
  static const struct arc_op_class cls = {
      .name = "sftp.open", .detach = detach, .destroy = destroy};
  struct arc_loop *loop = stream->loop;
  struct connect_op *c =
      arc_op_new(loop, &cls, sizeof *c, arc_loop_deadline(loop, timeout));
  struct arc_sftp *sftp = c ? begin(loop, stream) : NULL;
  if (!sftp) {
    arc_op_free(c ? &c->op : NULL);
    arc_stream_close(stream);
    return NULL;
  }
  c->sftp = sftp;
  sftp->opening = &c->op;
  arc_sftp_kick(sftp);
  arc_stream_want_read(stream, hear, sftp);
  return &c->op;
}

struct arc_sftp *arc_sftp_take(struct arc_op *op) {
  struct connect_op *c = (struct connect_op *)op;
  struct arc_sftp *sftp = c->sftp;
  c->sftp = NULL;
  return sftp;
}
