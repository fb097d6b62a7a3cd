/* SPDX-License-Identifier: MIT */
#ifndef ARC_HTTPD_H
#define ARC_HTTPD_H

#include <stdbool.h>
#include <stddef.h>

#include "net/stream.h"
#include "util/buf.h"

enum { ARC_HTTPD_HEADERS = 32 * 1024, ARC_HTTPD_BODY = 1024 * 1024 };

/* One HTTP/1.1 connection, the server's side. */
struct arc_httpd;

struct arc_httpd_call {
  const char *method; /* static text */
  struct arc_buf target;
  struct arc_buf headers; /* "Name\0value\0" times `count`, as received */
  size_t count;
  struct arc_buf body;
  bool upgrade; /* asks for another protocol */
};

/* Takes stream over, also on failure. NULL without memory. */
struct arc_httpd *arc_httpd_new(struct arc_stream *stream);
/* True while an operation is under way: one at a time. */
bool arc_httpd_busy(const struct arc_httpd *h);
/* "ADDRESS:PORT" of the peer. */
const char *arc_httpd_peer(const struct arc_httpd *h);

/* All operations below: NULL = no memory; they end with `closed` when the
 * connection is closed meanwhile. */

/* Waits for the next request. Take it by arc_httpd_taken. Broken requests
 * fail with the HTTP status to answer (400, 413, 431) as the error's. */
struct arc_op *arc_httpd_request(struct arc_httpd *h, int64_t deadline);
/* The request of a finished op, the caller's from now on; NULL = the
 * connection ended in order (also: after an answer that said so). */
struct arc_httpd_call *arc_httpd_taken(struct arc_op *op);
void arc_httpd_call_free(struct arc_httpd_call *request);

/* Sends an answer. headers: whole lines, each with its CRLF; Content-Length
 * is added. The caller has checked that none holds a CR or LF of its own. */
struct arc_answer {
  int status;
  const char *reason;
  const char *headers;
  size_t n_headers;
  const char *body;
  size_t n_body;
  bool close; /* the last one on this connection */
};
struct arc_op *arc_httpd_respond(struct arc_httpd *h,
                                 const struct arc_answer *answer,
                                 int64_t deadline);
/* Answers 101 to the request last taken, with this Sec-WebSocket-Protocol
 * (NULL = none), and gives the transport up: arc_httpd_stream takes it,
 * arc_httpd_early are the bytes that came behind the request (the op's). */
struct arc_op *arc_httpd_upgrade(struct arc_httpd *h, const char *protocol,
                                 int64_t deadline);
struct arc_stream *arc_httpd_stream(struct arc_op *op);
const struct arc_buf *arc_httpd_early(const struct arc_op *op);
/* Waits until the peer has gone away. What it sends is thrown away, or kept
 * for what comes next (up to 64 KB, then the op fails with `limit`). */
struct arc_op *arc_httpd_drain(struct arc_httpd *h, bool keep,
                               int64_t deadline);

/* Orderly end, or a reset. Frees h; NULL is fine. */
void arc_httpd_close(struct arc_httpd *h);
void arc_httpd_abort(struct arc_httpd *h);

#endif
