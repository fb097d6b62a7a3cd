/* SPDX-License-Identifier: MIT */
#ifndef ARC_SOCKS_H
#define ARC_SOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The server's side of SOCKS 4, 4a and 5 (RFC 1928), without authentication
 * and for CONNECT alone: only bytes, no streams. All zero is a new client. */

enum { ARC_SOCKS_HOST = 255, ARC_SOCKS_MESSAGE = 520, ARC_SOCKS_REPLY = 22 };

enum arc_socks_step {
  ARC_SOCKS_MORE,    /* read `need` bytes, no more, and feed them */
  ARC_SOCKS_ANSWER,  /* write the reply, then as MORE */
  ARC_SOCKS_CONNECT, /* host and port are known: connect, then reply */
  ARC_SOCKS_REFUSED, /* write the reply (it may be empty), then close */
};

/* How a connection went, for the client. */
enum arc_socks_result {
  ARC_SOCKS_OK,
  ARC_SOCKS_FAILED,
  ARC_SOCKS_DENIED,
  ARC_SOCKS_UNREACHABLE,
  ARC_SOCKS_NO_ONE /* connection refused */
};

struct arc_socks {
  uint8_t in[ARC_SOCKS_MESSAGE];
  size_t have;
  bool greeted; /* SOCKS 5: the request is next */
  int version;  /* 4 or 5; 0 = not yet known */
  char host[ARC_SOCKS_HOST + 1];
  int port;
  uint8_t reply[ARC_SOCKS_REPLY];
  size_t reply_len;
  const char *why; /* REFUSED: what is wrong, static text */
};

/* How many bytes to read next; at least 1. */
size_t arc_socks_need(const struct arc_socks *socks);
/* Takes the next n bytes, at most as many as are needed. */
enum arc_socks_step arc_socks_feed(struct arc_socks *socks, const void *bytes,
                                   size_t n);
/* Makes the reply that tells how the connection went. */
void arc_socks_finish(struct arc_socks *socks, enum arc_socks_result result);

#endif
