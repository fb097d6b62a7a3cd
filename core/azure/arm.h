/* SPDX-License-Identifier: MIT */
#ifndef ARC_ARM_H
#define ARC_ARM_H

#include <jansson.h>

#include "azure/armerr.h"
#include "azure/relayinfo.h"
#include "crypto/digest.h"
#include "loop/loop.h"
#include "net/http.h"

/* Borrowed for the call only. */
struct arc_arm_request {
  const char *url;
  const char *method; /* NULL: GET */
  struct arc_secret *token;
  const void *body; /* JSON, or NULL */
  size_t n_body;
  const struct arc_http_header *headers; /* beside those ARM wants */
  size_t n_headers;
  const char *ca;
  int64_t deadline;
  bool list_credentials; /* the answer becomes `info` only, and is wiped */
  bool fresh;            /* a connection of its own: never sent twice */
};

struct arc_arm_op {
  struct arc_op op;
  struct arc_http_op *http; /* its status and headers stay readable */
  bool list_credentials;
  char client_id[ARC_UUID_SIZE]; /* by which ARM's support finds it, too */
  struct arc_arm_facts facts;    /* of an error */
  json_t *value;                 /* NULL when there was no body */
  struct arc_relayinfo *info;    /* of listCredentials */
};

/* One request; the answer may come compressed. An answer that is not 2xx is an
 * error with ARM's reason, its status, retry_after and request id (that of our
 * side when ARM gave none). NULL without memory. */
struct arc_op *arc_arm_request(struct arc_loop *loop,
                               const struct arc_arm_request *request);

#endif
