/* SPDX-License-Identifier: MIT */
#ifndef ARC_HTTP_H
#define ARC_HTTP_H

#include "loop/loop.h"
#include "net/dial.h"
#include "util/buf.h"
#include "util/secret.h"

struct arc_http_header {
  const char *name;
  const char *value;         /* or */
  struct arc_secret *bearer; /* sent as "Bearer <secret>" */
  const char *prefix;        /* instead of "Bearer ", or NULL */
};

/* Borrowed for the call only. fresh: over a connection of its own; curl sends
 * a request again when a pooled one turns out to be dead. */
struct arc_http_request {
  const char *url;    /* https; http for loopback, link-local */
  const char *method; /* NULL: GET */
  const struct arc_http_header *headers;
  size_t n_headers;
  const void *body; /* NULL: none; an empty one sends Content-Length: 0 */
  size_t n_body;
  const char *ca;         /* PEM file added to the trust store, or NULL */
  int64_t deadline;       /* of the whole exchange */
  double connect_timeout; /* seconds */
  size_t max_body;        /* a larger answer fails with http.too-large */
  bool secret;            /* wipe the answer's body */
  bool fresh;             /* never sent twice */
  bool compressed;        /* the answer may come by gzip; max_body counts what
                             it unfolds to */
};

struct arc_http_op {
  struct arc_op op;
  struct arc_dial dial;
  int status;
  struct arc_buf body;
  struct arc_buf headers; /* name NUL value NUL ..., names in lower case */
  struct arc_buf sent;    /* the request's body, wiped */
  struct curl_slist *lines;
  size_t max_body;
  bool too_large, no_memory;
};

/* One exchange: no redirect is followed, no cookie kept, any status is a
 * success. NULL without memory; a refused input is an op that failed. */
struct arc_op *arc_http_request(struct arc_loop *loop,
                                const struct arc_http_request *request);

/* The value of the last header of that (lower-case) name, or NULL. */
const char *arc_http_header(const struct arc_http_op *http, const char *name);
/* Walks the headers: *at begins at 0; false at the end. */
bool arc_http_next_header(const struct arc_http_op *http, size_t *at,
                          const char **name, const char **value);
/* Retry-After and its ms forms: seconds from now; -1 when there is none. */
double arc_http_retry_after(const struct arc_http_op *http);

#endif
