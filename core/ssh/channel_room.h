/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_CHANNEL_ROOM_H
#define ARC_SSH_CHANNEL_ROOM_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#include "net/stream.h"
#include "ssh/room.h"
#include "util/buf.h"

/* What channel.c and the files that open channels share. */

struct arc_channel;

/* How a channel is opened: asked again and again until it is not AGAIN. */
struct arc_opening {
  int (*ask)(struct arc_opening *opening, ssh_channel channel);
  /* It is over: err is NULL and the channel open, or err (to be taken over)
   * says why not and the channel is gone. */
  void (*over)(struct arc_opening *opening, struct arc_err *err);
  bool asked;      /* the server has been asked */
  bool stands;     /* it is open; what it is to do has been asked */
  uint32_t number; /* of the channel, as libssh counts */
};

struct arc_channel {
  struct arc_stream base;
  struct arc_member member;
  struct arc_session *session; /* NULL: the channel has gone */
  ssh_channel ssh;
  struct ssh_channel_callbacks_struct callbacks;
  struct arc_opening *opening; /* NULL: it is open */
  struct arc_buf in;
  bool backlog; /* libssh holds more */
  bool ended;   /* the server sends no more */
  bool closed;  /* the server takes no more */
  bool shut;    /* we write no more */
  bool wants_read, wants_write;
};

/* An operation that opens a channel, for arc_channel_take; first member of its
 * block. */
struct arc_opening_op {
  struct arc_op op;
  struct arc_opening opening;
  struct arc_channel *channel; /* NULL: none, or taken */
};

/* A zeroed block of `size`; its caller says how in op->opening.ask, fills the
 * rest, and then begins. cls: its detach and destroy are the two below. */
struct arc_opening_op *arc_opening_new(struct arc_session *session,
                                       const struct arc_op_class *cls,
                                       size_t size, double timeout);
struct arc_op *arc_opening_begin(struct arc_opening_op *op,
                                 struct arc_session *session, const char *name);
void arc_opening_detach(struct arc_op *op);
void arc_opening_destroy(struct arc_op *op);

/* A channel that opening opens; NULL without memory. */
struct arc_channel *arc_channel_new(struct arc_session *session,
                                    struct arc_opening *opening,
                                    const char *name);
/* The channel that the server wants to open. NULL without memory. */
struct arc_channel *arc_channel_accept(struct arc_session *session,
                                       ssh_message message, const char *name);
/* Lets the channel go, orderly, and frees the stream. */
void arc_channel_free(struct arc_channel *channel);
/* Why the server has refused to open it. */
struct arc_err *arc_channel_refusal(struct arc_channel *channel);

#endif
