/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_SFTP_ROOM_H
#define ARC_SSH_SFTP_ROOM_H

#include "ssh/sftp.h"

/* What the files of SFTP share. Everything runs from the drain. */

struct arc_sftp_request;

/* What the server has answered, or why it will not. */
struct arc_sftp_reply {
  struct arc_err *err; /* the connection is over; borrowed */
  uint8_t type;
  struct arc_cursor body; /* behind the id; gone afterwards */
};

/* A request whose answer has not come. */
struct arc_sftp_request {
  struct arc_sftp_request *next;
  uint32_t id;
  enum arc_sftp_kind kind;
  void *owner;
  /* Called once; the request is freed afterwards. */
  void (*answered)(void *owner, const struct arc_sftp_request *request,
                   struct arc_sftp_reply *reply);
  uint64_t offset; /* of reads and writes */
  uint32_t length;
};

/* Something that has requests to make whenever there is room for them. */
struct arc_sftp_producer {
  struct arc_sftp_producer *next, *prev;
  /* Makes one request at the most; false: none now. */
  bool (*produce)(struct arc_sftp_producer *producer);
};

enum { ARC_SFTP_BUCKETS = 256 };

struct arc_sftp {
  struct arc_loop *loop;
  int refs;
  struct arc_stream *stream; /* NULL: it is over */
  struct arc_err *err;       /* why */
  struct arc_op *opening;    /* who waits for the version, or NULL */
  bool ready;                /* the version has come */
  struct arc_ready flush, hear;
  struct arc_buf in, out;
  uint32_t last_id;
  struct arc_sftp_request *requests[ARC_SFTP_BUCKETS];
  struct arc_sftp_producer *producers;
  unsigned slots; /* requests at a time that a transfer has come to */
  uint64_t asked; /* bytes that unanswered reads may bring */
  struct arc_sftp_limits limits;
  unsigned extensions; /* bits */
};

/* Ends the connection with err (taken over); who waits is told. */
void arc_sftp_fail(struct arc_sftp *sftp, struct arc_err *err);
void arc_sftp_ref(struct arc_sftp *sftp);
void arc_sftp_unref(struct arc_sftp *sftp);

/* Sends a request; NULL: the connection is over (sftp->err), or there is no
 * memory, which ends it. The owner is told the answer unless it leaves. */
struct arc_sftp_request *
arc_sftp_ask(struct arc_sftp *sftp, enum arc_sftp_kind kind,
             const struct arc_sftp_args *args, void *owner,
             void (*answered)(void *, const struct arc_sftp_request *,
                              struct arc_sftp_reply *));
/* A WRITE: room for its data, or NULL as above; then as many bytes as are
 * there (0: it is not sent). */
uint8_t *arc_sftp_write_room(struct arc_sftp *sftp,
                             const struct arc_sftp_handle *handle,
                             uint32_t most);
struct arc_sftp_request *
arc_sftp_write_send(struct arc_sftp *sftp, const struct arc_sftp_handle *handle,
                    uint64_t offset, uint32_t n, void *owner,
                    void (*answered)(void *, const struct arc_sftp_request *,
                                     struct arc_sftp_reply *));
/* The owner goes: what is answered to its requests is only cleaned up. */
void arc_sftp_leave(struct arc_sftp *sftp, const void *owner);

void arc_sftp_enlist(struct arc_sftp *sftp, struct arc_sftp_producer *producer);
void arc_sftp_delist(struct arc_sftp *sftp, struct arc_sftp_producer *producer);
/* Lets producers and the output run soon. */
void arc_sftp_kick(struct arc_sftp *sftp);

/* How a kind is called in errors: "sftp.open" and "open". */
const char *arc_sftp_op_name(enum arc_sftp_kind kind);
const char *arc_sftp_verb(enum arc_sftp_kind kind);

/* The error that a reply means for who expected one of this type, or NULL.
 * Taken over by the caller. */
struct arc_err *arc_sftp_reply_error(struct arc_sftp_reply *reply,
                                     uint8_t expected, const char *what);
/* The handle that a reply holds; false: malformed. */
bool arc_sftp_get_handle(struct arc_cursor *cur,
                         struct arc_sftp_handle *handle);
/* Whether it is a STATUS that says the end of file; the cursor stays. */
bool arc_sftp_is_eof(const struct arc_sftp_reply *reply);

#endif
