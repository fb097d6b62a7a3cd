/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_AGENT_PEER_H
#define ARC_SSH_AGENT_PEER_H

#include <stdbool.h>

#include "net/stream.h"
#include "util/buf.h"

/* One who speaks the agent protocol (draft-miller-ssh-agent): messages with a
 * length of four bytes before each, the type first. */
enum {
  ARC_AGENT_FAILURE = 5,
  ARC_AGENT_LIST = 11,
  ARC_AGENT_KEYS = 12,
  ARC_AGENT_SIGN = 13,
  ARC_AGENT_SIGNED = 14,
  ARC_AGENT_ADD = 25, /* with constraints */
  ARC_AGENT_LIFETIME = 1
};

struct arc_err;

/* A stream to the agent whose socket is at path. NULL sets *err (owned). */
struct arc_stream *arc_agent_dial(struct arc_loop *loop, const char *path,
                                  struct arc_err **err);

struct arc_agent_peer {
  struct arc_stream *stream; /* owned; NULL: gone */
  struct arc_buf in, out;
};

/* Moves what can be moved and arms fn(arg) for the rest. False when the peer
 * has gone or broken the protocol. */
bool arc_agent_peer_run(struct arc_agent_peer *peer, void (*fn)(void *),
                        void *arg);
/* The whole message that has come next, as a cursor; take drops it. */
bool arc_agent_peer_next(const struct arc_agent_peer *peer,
                         struct arc_cursor *message);
void arc_agent_peer_take(struct arc_agent_peer *peer);
/* False without memory, and then nothing of it is sent. */
bool arc_agent_peer_send(struct arc_agent_peer *peer, const void *message,
                         size_t n);
void arc_agent_peer_close(struct arc_agent_peer *peer);

#endif
