/* SPDX-License-Identifier: MIT */
/* File data: as many requests at a time as help, block by block between the
 * wire and a local file or memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ssh/sftp_room.h"
#include "util/err.h"

enum {
  CHUNK = 60 * 1024,        /* of a request, when the server allows it */
  CHUNK_UNTOLD = 32 * 1024, /* when it does not say: all servers do */
  CHUNK_LEAST = 512,        /* when it gives less than it was asked for */
  SLOTS_FIRST = 4,          /* requests at a time; an answer adds one */
  AHEAD_MOST = 2097152,     /* bytes of them all */
  /* Bytes of all reads of a connection, which libssh may have to hold when we
   * are slower: its buffer then grows to 1 MB and not to 2. */
  ASKED_MOST = 960 * 1024,
  PROBE = 4096, /* asked for where the end is believed to be */
  SHOWN = 1000
};

#define NO_END UINT64_MAX

struct transfer {
  struct arc_op op;
  struct arc_sftp_producer producer;
  struct arc_sftp *sftp;
  struct arc_sftp_handle handle;
  struct arc_meter *meter;
  struct arc_timer timer; /* until the meter allows more */
  bool sending, listed;
  int fd;
  const uint8_t *from;
  uint8_t *into;
  uint64_t begin, next, end; /* of the files; end: NO_END = not known */
  uint64_t hint;             /* where the end is believed to be */
  uint64_t highest;          /* end of the data that has come */
  uint64_t moved;
  uint32_t chunk;
  unsigned flying, slots;
  char remote[SHOWN], local[SHOWN];
};

/* ---- its end ---------------------------------------------------------------
 */

static void leave(struct transfer *t) {
  arc_timer_stop(t->sftp->loop, &t->timer);
  if (t->listed) {
    t->listed = false;
    arc_sftp_delist(t->sftp, &t->producer);
  }
  arc_sftp_leave(t->sftp, t);
}

/* err is taken over. */
static void end(struct transfer *t, struct arc_err *err) {
  if (t->op.done) {
    arc_err_unref(err);
    return;
  }
  leave(t);
  arc_op_finish(&t->op, err);
}

static void check_end(struct transfer *t) {
  if (t->flying || t->next < t->end || t->op.done) {
    return;
  }
  bool gap = !t->sending && t->highest > t->begin + t->moved;
  end(t, gap ? arc_err_reason("sftp.changed",
                              "read %s: the file changed meanwhile", t->remote)
             : NULL);
}

static struct arc_err *local_error(const struct transfer *t, const char *verb,
                                   int number) {
  if (number == ENOSPC || number == EDQUOT) {
    return arc_err_reason("io.no-space", "%s %s: %s", verb, t->local,
                          strerror(number));
  }
  return arc_err_errno(number, "%s %s", verb, t->local);
}

/* ---- the local side --------------------------------------------------------
 */

/* Bytes read, 0 = the end, or a negative errno. */
static ssize_t take_local(const struct transfer *t, uint8_t *to, uint32_t n) {
  if (t->fd < 0) {
    memcpy(to, t->from + (t->next - t->begin), n);
    return (ssize_t)n;
  }
  ssize_t got;
  do {
    got = pread(t->fd, to, n, (off_t)t->next);
  } while (got < 0 && errno == EINTR);
  return got < 0 ? -errno : got;
}

/* 0 or an errno. */
static int put_local(const struct transfer *t, const uint8_t *data, uint32_t n,
                     uint64_t offset) {
  if (t->fd < 0) {
    memcpy(t->into + (offset - t->begin), data, n);
    return 0;
  }
  while (n) {
    ssize_t done = pwrite(t->fd, data, n, (off_t)offset);
    if (done < 0 && errno != EINTR) {
      return errno;
    }
    done = done < 0 ? 0 : done;
    data += done;
    offset += (uint64_t)done;
    n -= (uint32_t)done;
  }
  return 0;
}

/* ---- requests --------------------------------------------------------------
 */

static void go_on(void *arg) {
  struct transfer *t = arg;
  arc_sftp_kick(t->sftp);
}

/* May a request be made now? */
static bool may_ask(struct transfer *t) {
  if (t->flying >= t->slots || t->next >= t->end ||
      (!t->sending && t->sftp->asked >= ASKED_MOST)) {
    return false;
  }
  if (!t->meter) {
    return true;
  }
  int64_t now = arc_loop_now(t->sftp->loop);
  int64_t wait = arc_meter_wait(t->meter, now);
  if (wait) {
    arc_timer_start(t->sftp->loop, &t->timer, now + wait, go_on, t);
  }
  return !wait;
}

/* The size of the next request: it ends where the file is believed to end, so
 * that the question whether it does goes out with the others. */
static uint32_t next_length(const struct transfer *t) {
  uint64_t n = t->hint && t->next == t->hint ? PROBE : t->chunk;
  uint64_t stop = t->next < t->hint && t->hint < t->end ? t->hint : t->end;
  return (uint32_t)(n < stop - t->next ? n : stop - t->next);
}

static void grow(struct transfer *t) {
  t->flying--;
  if (t->slots * (uint64_t)t->chunk < AHEAD_MOST) {
    t->slots++;
    t->sftp->slots = t->slots > t->sftp->slots ? t->slots : t->sftp->slots;
  }
}

static void count(struct transfer *t, uint32_t n) {
  t->moved += n;
  arc_meter_count(t->meter, n);
}

/* ---- sending ---------------------------------------------------------------
 */

static void written(void *owner, const struct arc_sftp_request *request,
                    struct arc_sftp_reply *reply) {
  struct transfer *t = owner;
  char what[SHOWN + 8];
  snprintf(what, sizeof what, "write %s", t->remote);
  struct arc_err *err = arc_sftp_reply_error(reply, ARC_FXP_STATUS, what);
  if (err) {
    end(t, err);
    return;
  }
  grow(t);
  count(t, request->length);
  check_end(t);
  arc_sftp_kick(t->sftp);
}

static bool send_block(struct transfer *t) {
  uint32_t n = next_length(t);
  uint8_t *room = arc_sftp_write_room(t->sftp, &t->handle, n);
  if (!room) {
    return false; // the connection has failed, and told us
  }
  ssize_t got = take_local(t, room, n);
  if (got < 0) {
    end(t, local_error(t, "read", (int)-got));
    return false;
  }
  if (!got && t->end != NO_END) {
    end(t, arc_err_reason("sftp.changed",
                          "read %s: the file has become shorter meanwhile",
                          t->local));
    return false;
  }
  if (!got) {
    t->end = t->next;
    check_end(t);
    return false;
  }
  if (!arc_sftp_write_send(t->sftp, &t->handle, t->next, (uint32_t)got, t,
                           written)) {
    return false;
  }
  arc_meter_spend(t->meter, got);
  t->next += (uint64_t)got;
  t->flying++;
  return true;
}

/* ---- receiving -------------------------------------------------------------
 */

static bool ask_block(struct transfer *t, uint64_t offset, uint32_t n);

/* The server has no bytes from there on. */
static void note_eof(struct transfer *t, uint64_t offset) {
  if (offset < t->end) {
    t->end = offset;
  }
  if (t->next > t->end) {
    t->next = t->end;
  }
}

/* The error that the data mean, or NULL. */
static struct arc_err *take_data(struct transfer *t, uint64_t offset,
                                 uint32_t asked, struct arc_cursor *cur,
                                 uint32_t *n) {
  const uint8_t *data = arc_cursor_string(cur, n);
  if (!data || !*n || *n > asked) {
    return arc_err_reason("sftp.protocol",
                          "read %s: the SFTP server sent another amount than "
                          "it was asked for",
                          t->remote);
  }
  int error = put_local(t, data, *n, offset);
  return error ? local_error(t, "write", error) : NULL;
}

static void heard_data(void *owner, const struct arc_sftp_request *request,
                       struct arc_sftp_reply *reply) {
  struct transfer *t = owner;
  char what[SHOWN + 8];
  uint32_t n = 0;
  grow(t);
  if (arc_sftp_is_eof(reply)) {
    arc_meter_spend(t->meter, -(int64_t)request->length);
    note_eof(t, request->offset);
    check_end(t);
    return;
  }
  snprintf(what, sizeof what, "read %s", t->remote);
  struct arc_err *err = arc_sftp_reply_error(reply, ARC_FXP_DATA, what);
  err = err ? err
            : take_data(t, request->offset, request->length, &reply->body, &n);
  if (err) {
    end(t, err);
    return;
  }
  count(t, n);
  uint64_t upto = request->offset + n;
  t->highest = upto > t->highest ? upto : t->highest;
  if (n < request->length) { // the rest anew, and from now on no more at a time
    bool last = request->offset + request->length >= t->hint;
    if (!last && n < t->chunk) {
      t->chunk = n > CHUNK_LEAST ? n : CHUNK_LEAST;
    }
    ask_block(t, upto, request->length - n);
  } else if (request->offset == t->hint) {
    t->hint = 0; // it is longer
  }
  check_end(t);
  arc_sftp_kick(t->sftp);
}

static bool ask_block(struct transfer *t, uint64_t offset, uint32_t n) {
  const struct arc_sftp_args args = {
      .handle = &t->handle, .offset = offset, .length = n};
  if (!arc_sftp_ask(t->sftp, ARC_SFTP_OP_READ, &args, t, heard_data)) {
    return false;
  }
  t->flying++;
  return true;
}

static bool receive_block(struct transfer *t) {
  uint32_t n = next_length(t);
  uint64_t offset = t->next;
  t->next += n;
  arc_meter_spend(t->meter, n);
  return ask_block(t, offset, n);
}

/* ---- the operation ---------------------------------------------------------
 */

static bool produce(struct arc_sftp_producer *producer) {
  struct transfer *t = (struct transfer *)((char *)producer -
                                           offsetof(struct transfer, producer));
  if (t->sftp->err) {
    t->listed = false; // it has been taken out
    end(t, arc_err_ref(t->sftp->err));
    return false;
  }
  if (t->op.done || !may_ask(t)) {
    return false;
  }
  return t->sending ? send_block(t) : receive_block(t);
}

static void detach(struct arc_op *op) { leave((struct transfer *)op); }

static void destroy(struct arc_op *op) {
  struct transfer *t = (struct transfer *)op;
  if (t->fd >= 0) {
    close(t->fd);
  }
  arc_meter_unref(t->meter);
  arc_sftp_unref(t->sftp);
  free(t);
}

static uint32_t chunk_of(const struct arc_sftp *sftp, bool sending) {
  uint64_t limit = sending ? sftp->limits.write : sftp->limits.read;
  return !limit ? CHUNK_UNTOLD : limit < CHUNK ? (uint32_t)limit : CHUNK;
}

static struct transfer *make(struct arc_sftp *sftp,
                             const struct arc_op_class *cls,
                             const struct arc_sftp_transfer *what,
                             bool sending) {
  struct transfer *t = arc_op_new(sftp->loop, cls, sizeof *t, ARC_FOREVER);
  if (!t) {
    return NULL;
  }
  arc_sftp_ref(sftp);
  t->sftp = sftp;
  t->producer.produce = produce;
  t->handle = *what->handle;
  t->meter = arc_meter_ref(what->meter);
  t->sending = sending;
  t->fd = what->fd < 0 ? -1 : fcntl(what->fd, F_DUPFD_CLOEXEC, 3);
  t->from = what->from;
  t->into = what->into;
  t->begin = t->next = t->highest = what->offset;
  t->hint = what->size;
  t->end = what->length < 0 ? NO_END : what->offset + (uint64_t)what->length;
  t->chunk = chunk_of(sftp, sending);
  t->slots = sftp->slots > SLOTS_FIRST ? sftp->slots : SLOTS_FIRST;
  arc_sftp_show(t->remote, sizeof t->remote, what->remote);
  arc_sftp_show(t->local, sizeof t->local, what->local ? what->local : "");
  if (sftp->err) {
    arc_op_finish(&t->op, arc_err_ref(sftp->err));
  } else if (what->fd >= 0 && t->fd < 0) {
    arc_op_finish(&t->op, arc_err_errno(errno, "open %s", t->local));
  } else if (t->next == t->end) {
    arc_op_finish(&t->op, NULL);
  } else {
    t->listed = true;
    arc_sftp_enlist(sftp, &t->producer);
  }
  return t;
}

struct arc_op *arc_sftp_send(struct arc_sftp *sftp,
                             const struct arc_sftp_transfer *what) {
  static const struct arc_op_class cls = {
      .name = "sftp.write", .detach = detach, .destroy = destroy};
  struct transfer *t = make(sftp, &cls, what, true);
  return t ? &t->op : NULL;
}

struct arc_op *arc_sftp_receive(struct arc_sftp *sftp,
                                const struct arc_sftp_transfer *what) {
  static const struct arc_op_class cls = {
      .name = "sftp.read", .detach = detach, .destroy = destroy};
  struct transfer *t = make(sftp, &cls, what, false);
  return t ? &t->op : NULL;
}

uint64_t arc_sftp_moved(const struct arc_op *op) {
  return ((const struct transfer *)op)->moved;
}
