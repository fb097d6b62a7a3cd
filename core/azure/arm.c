/* SPDX-License-Identifier: MIT */
#include "azure/arm.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azure/json.h"
#include "util/err.h"

enum {
  ANSWER_MAX = 32 * 1024 * 1024, /* ARM itself stops at 8 MB */
  CONNECT_SECONDS = 10,
  OWN_HEADERS = 6
};

static void add_facts(struct arc_err *err, const struct arc_arm_op *arm) {
  const char *id = arc_http_header(arm->http, "x-ms-request-id");
  err->retry_after = arc_http_retry_after(arm->http);
  arc_err_track(err, id ? id : arm->client_id);
  err->op = arm->op.cls->name;
}

static struct arc_err *bad_answer(const struct arc_arm_op *arm) {
  struct arc_err *err = arc_err_reason("http.bad-answer",
                                       "status %d with a body that is not JSON",
                                       arm->http->status);
  if (err->refs) {
    err->status = arm->http->status;
  }
  return err;
}

static struct arc_err *read_answer(struct arc_arm_op *arm) {
  const struct arc_http_op *http = arm->http;
  const char *body = (const char *)arc_buf_head(&http->body);
  size_t n = arc_buf_len(&http->body);
  struct arc_err *err = NULL;
  if (http->status < 200 || http->status > 299) {
    return arc_arm_error(http->status, body, n, arm->list_credentials,
                         &arm->facts);
  }
  if (arm->list_credentials) {
    arm->info = arc_relayinfo_parse(body, n, &err);
    return err;
  }
  arm->value = n ? arc_json_parse(body, n) : NULL;
  return n && !arm->value ? bad_answer(arm) : NULL;
}

static void answered(struct arc_op *op, void *arg) {
  struct arc_arm_op *arm = arg;
  struct arc_err *err = op->err ? arc_err_ref(op->err) : read_answer(arm);
  if (err && err->refs) {
    add_facts(err, arm);
  }
  arc_buf_free(&arm->http->body);
  arc_op_finish(&arm->op, err);
}

static void detach(struct arc_op *op) {
  struct arc_arm_op *arm = (struct arc_arm_op *)op;
  if (arm->http) {
    arc_op_free(&arm->http->op);
    arm->http = NULL;
  }
}

static void destroy(struct arc_op *op) {
  struct arc_arm_op *arm = (struct arc_arm_op *)op;
  detach(op);
  json_decref(arm->value);
  arc_relayinfo_unref(arm->info);
  free(arm);
}

static bool gives(const struct arc_arm_request *request, const char *name) {
  for (size_t i = 0; i < request->n_headers; i++) {
    if (!strcasecmp(request->headers[i].name, name)) {
      return true;
    }
  }
  return false;
}

static const char *given_id(const struct arc_arm_request *request) {
  for (size_t i = 0; i < request->n_headers; i++) {
    const struct arc_http_header *header = &request->headers[i];
    if (header->value && !strcasecmp(header->name, "x-ms-client-request-id")) {
      return header->value;
    }
  }
  return NULL;
}

/* The caller's id of the request, else a new one. */
static bool choose_id(struct arc_arm_op *arm,
                      const struct arc_arm_request *request) {
  const char *given = given_id(request);
  if (given && strlen(given) < sizeof arm->client_id) {
    memcpy(arm->client_id, given, strlen(given) + 1);
    return true;
  }
  return arc_crypto_uuid(arm->client_id);
}

/* The headers that ARM wants, unless the caller has its own, and the
 * caller's. */
static struct arc_http_header *
join_headers(const struct arc_arm_request *request, const char *id, size_t *n) {
  const struct arc_http_header own[OWN_HEADERS] = {
      {.name = "Authorization", .bearer = request->token},
      {.name = "Accept", .value = "application/json"},
      {.name = "Accept-Language", .value = "en-US"},
      {.name = "x-ms-client-request-id", .value = id},
      {.name = "x-ms-return-client-request-id", .value = "true"},
      {.name = "Content-Type", .value = "application/json"}};
  struct arc_http_header *all =
      calloc(OWN_HEADERS + request->n_headers, sizeof *all);
  if (!all) {
    return NULL;
  }
  *n = 0;
  for (size_t i = 0; i < OWN_HEADERS - !request->body; i++) {
    if (!gives(request, own[i].name)) {
      all[(*n)++] = own[i];
    }
  }
  for (size_t i = 0; i < request->n_headers; i++) {
    all[(*n)++] = request->headers[i];
  }
  return all;
}

/* A POST or PUT without a body says Content-Length: 0. */
static bool needs_length(const struct arc_arm_request *request) {
  const char *method = request->method ? request->method : "GET";
  return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
         strcmp(method, "DELETE") != 0;
}

static struct arc_op *send_request(struct arc_arm_op *arm,
                                   const struct arc_arm_request *request) {
  size_t n = 0;
  struct arc_http_header *headers =
      choose_id(arm, request) ? join_headers(request, arm->client_id, &n)
                              : NULL;
  if (!headers) {
    return NULL;
  }
  const char *none = needs_length(request) ? "" : NULL;
  const struct arc_http_request http = {
      .url = request->url,
      .method = request->method,
      .headers = headers,
      .n_headers = n,
      .body = request->body ? request->body : none,
      .n_body = request->body ? request->n_body : 0,
      .ca = request->ca,
      .deadline = request->deadline,
      .connect_timeout = CONNECT_SECONDS,
      .max_body = ANSWER_MAX,
      .compressed = true,
      .fresh = request->fresh,
      .secret = request->list_credentials};
  struct arc_op *op = arc_http_request(arm->op.loop, &http);
  free(headers);
  return op;
}

struct arc_op *arc_arm_request(struct arc_loop *loop,
                               const struct arc_arm_request *request) {
  static const struct arc_op_class plain = {
      .name = "arm.request", .detach = detach, .destroy = destroy};
  static const struct arc_op_class credentials = {
      .name = "arm.relay_credentials", .detach = detach, .destroy = destroy};
  struct arc_arm_op *arm =
      arc_op_new(loop, request->list_credentials ? &credentials : &plain,
                 sizeof *arm, ARC_FOREVER);
  if (!arm) {
    return NULL;
  }
  arm->list_credentials = request->list_credentials;
  arm->http = (struct arc_http_op *)send_request(arm, request);
  if (arm->http) {
    arm->http->op.notify = answered;
    arm->http->op.notify_arg = arm;
  } else {
    arc_op_finish(&arm->op, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
  return &arm->op;
}
