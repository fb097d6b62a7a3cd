/* SPDX-License-Identifier: MIT */
#include "azure/token.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "azure/aadsts.h"
#include "azure/certificate.h"
#include "azure/expiry.h"
#include "azure/json.h"
#include "net/http.h"
#include "util/err.h"

enum {
  ANSWER_MAX = 1024 * 1024,
  CONNECT_SECONDS = 10,
  EXCERPT = 200,
  DEVICE_SECONDS = 1800, /* a device code's life and pace, when not given */
  DEVICE_INTERVAL = 5
};

struct token_op {
  struct arc_op op;
  struct arc_op *http;
  double asked; /* when, on the wall clock */
  bool assertion;
  bool device;
  struct arc_sshkey *certify; /* or NULL */
  struct arc_token token;
};

void arc_token_clear(struct arc_token *token) {
  arc_secret_unref(token->secret);
  arc_secret_unref(token->refresh_token);
  arc_secret_unref(token->id_token);
  arc_sshcert_unref(token->certificate);
  arc_sshkey_unref(token->certified);
  free(token->user_code);
  free(token->verification_uri);
  free(token->message);
  free(token->type);
  free(token->scope);
  free(token->tenant);
  free(token->subscription);
  memset(token, 0, sizeof *token);
}

/* ---- errors ----------------------------------------------------------------
 */

struct meaning {
  const char *error; /* OAuth's word */
  const char *reason;
};

static const struct meaning meanings[] = {
    {"access_denied", "entra.declined"},
    {"authorization_declined", "entra.declined"},
    {"authorization_pending", "entra.pending"},
    {"bad_verification_code", "entra.interaction-required"},
    {"code_expired", "entra.code-expired"},
    {"consent_required", "entra.interaction-required"},
    {"expired_token", "entra.code-expired"},
    {"interaction_required", "entra.interaction-required"},
    {"invalid_client", "entra.bad-client"},
    {"invalid_grant", "entra.interaction-required"},
    {"invalid_resource", "entra.bad-scope"},
    {"invalid_scope", "entra.bad-scope"},
    {"login_required", "entra.interaction-required"},
    {"server_error", "entra.server-error"},
    {"slow_down", "entra.slow-down"},
    {"temporarily_unavailable", "entra.server-error"},
    {"unauthorized_client", "entra.bad-client"},
};

static bool is_one_of(const json_t *answer, const json_int_t *codes) {
  json_int_t first = json_integer_value(
      json_array_get(json_object_get(answer, "error_codes"), 0));
  for (; *codes; codes++) {
    if (first == *codes) {
      return true;
    }
  }
  return false;
}

static bool names_no_tenant(const json_t *answer) {
  static const json_int_t codes[] = {90002, 900023, 900021, 50059, 0};
  return is_one_of(answer, codes);
}

/* Whether the refresh token is dead, not merely refused for this scope. */
static bool is_signed_out(const json_t *answer) {
  static const json_int_t codes[] = {50173, 700082, 70043, 700084, 70008, 0};
  const char *error = arc_json_text(answer, "error");
  const char *sub = arc_json_text(answer, "suberror");
  return !strcmp(error, "invalid_grant") &&
         ((sub &&
           (!strcmp(sub, "bad_token") || !strcmp(sub, "token_expired"))) ||
          is_one_of(answer, codes));
}

static const char *reason_for(int status, const json_t *answer) {
  if (status == 429) {
    return "entra.throttled";
  }
  if (status >= 500) {
    return "entra.server-error";
  }
  if (names_no_tenant(answer)) {
    return "entra.bad-tenant";
  }
  if (is_signed_out(answer)) {
    return "entra.signed-out";
  }
  const char *error = arc_json_text(answer, "error");
  for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
    if (!strcmp(error, meanings[i].error)) {
      return meanings[i].reason;
    }
  }
  return "entra.bad-request";
}

/* Up to the trace, which stands behind the sentence or on a line of its own. */
static size_t sentence(const char *text) {
  size_t n = strcspn(text, "\r\n");
  const char *trace = strstr(text, " Trace ID:");
  return trace && (size_t)(trace - text) < n ? (size_t)(trace - text) : n;
}

static struct arc_err *oauth_error(int status, const json_t *answer) {
  const char *error = arc_json_text(answer, "error");
  const char *text = arc_json_text(answer, "error_description");
  const char *trace = arc_json_text(answer, "trace_id");
  text = text ? text : error;
  const struct arc_aadsts *known = arc_aadsts_find(json_integer_value(
      json_array_get(json_object_get(answer, "error_codes"), 0)));
  struct arc_err *err = arc_err_reason(
      reason_for(status, answer), "%s%s%.*s (%s)", known ? known->meaning : "",
      known ? ": " : "", (int)sentence(text), text, error);
  if (known && err->refs) {
    err->remedy = known->remedy;
  }
  if (trace) {
    arc_err_track(err, trace);
  }
  return err;
}

static struct arc_err *foreign_error(int status, const char *body, size_t n) {
  const char *reason = status == 429   ? "entra.throttled"
                       : status >= 500 ? "entra.server-error"
                                       : "http.bad-answer";
  n = n < EXCERPT ? n : EXCERPT;
  if (status < 300) { // a token may be in it
    n = 0;
  }
  return arc_err_reason(reason, "status %d%s%.*s", status, n ? ": " : "",
                        (int)n, n ? body : "");
}

struct arc_err *arc_token_error(int status, const char *body, size_t n) {
  json_t *answer = arc_json_secret(body, n);
  struct arc_err *err =
      arc_json_text(answer, "error") ? oauth_error(status, answer)
      : status == 200
          ? arc_err_reason("http.bad-answer", "the answer is not a token")
          : foreign_error(status, body, n);
  arc_json_wipe(answer);
  if (err->refs) {
    err->status = status;
  }
  return err;
}

/* ---- the answer ------------------------------------------------------------
 */

static char *copy_text(const json_t *answer, const char *key) {
  const char *text = arc_json_text(answer, key);
  return text ? strdup(text) : NULL;
}

/* Its life is its own affair: it is used once, at once. */
static bool read_assertion(struct token_op *op, const json_t *answer) {
  const char *text = arc_json_text(answer, "value");
  op->token.secret = text && *text ? arc_secret_new(text, strlen(text)) : NULL;
  op->token.expires_on = op->asked;
  op->token.refresh_on = -1;
  return op->token.secret;
}

static struct arc_secret *copy_secret(const json_t *answer, const char *key) {
  const char *text = arc_json_text(answer, key);
  return text && *text ? arc_secret_new(text, strlen(text)) : NULL;
}

/* False when the answer is not a device code. */
static bool read_device(struct token_op *op, const json_t *answer) {
  struct arc_token *token = &op->token;
  double life = 0;
  token->secret = copy_secret(answer, "device_code");
  token->user_code = copy_text(answer, "user_code");
  token->verification_uri = copy_text(answer, "verification_uri");
  token->message = copy_text(answer, "message");
  token->refresh_on = -1;
  if (!arc_json_seconds(json_object_get(answer, "expires_in"), &life)) {
    life = DEVICE_SECONDS;
  }
  if (!arc_json_seconds(json_object_get(answer, "interval"),
                        &token->interval) ||
      token->interval < 1) {
    token->interval = DEVICE_INTERVAL;
  }
  token->expires_on = op->asked + life;
  return token->secret && token->user_code && token->verification_uri;
}

/* False with or without *err when the answer is no certificate. */
static bool read_certificate(struct token_op *op, const json_t *answer,
                             struct arc_err **err) {
  struct arc_token *token = &op->token;
  double now = arc_loop_time(op->op.loop);
  token->certificate = arc_certificate_read(answer, op->certify, now, err);
  if (!token->certificate) {
    return false;
  }
  token->certified = arc_sshkey_ref(op->certify);
  token->expires_on = (double)token->certificate->valid_before;
  token->refresh_on = -1;
  token->refresh_token = copy_secret(answer, "refresh_token");
  token->id_token = copy_secret(answer, "id_token");
  return true;
}

/* False when the answer is not a token. */
static bool read_token(struct token_op *op, const json_t *answer) {
  struct arc_token *token = &op->token;
  const char *text = arc_json_text(answer, "access_token");
  double in = 0;
  if (!text || !*text ||
      !arc_expiry_read(answer, op->asked, false, &token->expires_on)) {
    return false;
  }
  token->secret = arc_secret_new(text, strlen(text));
  token->refresh_token = copy_secret(answer, "refresh_token");
  token->id_token = copy_secret(answer, "id_token");
  token->refresh_on = -1;
  if (arc_json_seconds(json_object_get(answer, "refresh_in"), &in) && in > 0) {
    token->refresh_on = op->asked + in;
  }
  token->type = copy_text(answer, "token_type");
  token->scope = copy_text(answer, "scope");
  return token->secret;
}

static struct arc_err *read_answer(struct token_op *op,
                                   const struct arc_http_op *http) {
  const char *body = (const char *)arc_buf_head(&http->body);
  size_t n = arc_buf_len(&http->body);
  if (http->status == 200) {
    struct arc_err *why = NULL;
    json_t *answer = arc_json_secret(body, n);
    bool good = op->device      ? read_device(op, answer)
                : op->assertion ? read_assertion(op, answer)
                : op->certify   ? read_certificate(op, answer, &why)
                                : read_token(op, answer);
    arc_json_wipe(answer);
    if (good || why) {
      return why;
    }
  }
  struct arc_err *err = arc_token_error(http->status, body, n);
  if (err->refs) {
    err->retry_after = arc_http_retry_after(http);
  }
  return err;
}

static void answered(struct arc_op *http, void *arg) {
  struct token_op *op = arg;
  struct arc_err *err = http->err ? arc_err_ref(http->err)
                                  : read_answer(op, (struct arc_http_op *)http);
  arc_op_free(http);
  op->http = NULL;
  if (err && err->refs) {
    err->op = op->op.cls->name;
  }
  arc_op_finish(&op->op, err);
}

/* ---- the request -----------------------------------------------------------
 */

static bool append_escaped(struct arc_buf *body, const char *text, size_t n) {
  static const char hex[] = "0123456789ABCDEF";
  uint8_t *to = arc_buf_reserve(body, 3 * n);
  size_t used = 0;
  for (size_t i = 0; to && i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if ((c < 0x80 && isalnum(c)) || (c && strchr("-._~", c))) {
      to[used++] = c;
    } else {
      to[used++] = '%';
      to[used++] = (uint8_t)hex[c >> 4];
      to[used++] = (uint8_t)hex[c & 15];
    }
  }
  arc_buf_commit(body, used);
  return to;
}

static bool append_fields(struct arc_buf *body,
                          const struct arc_form_field *fields, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct arc_form_field *field = &fields[i];
    if ((arc_buf_len(body) && !arc_buf_text(body, "&")) ||
        !append_escaped(body, field->name, strlen(field->name)) ||
        !arc_buf_text(body, "=") ||
        !append_escaped(body, field->value, field->n)) {
      return false;
    }
  }
  return true;
}

static bool append_form(struct arc_buf *body,
                        const struct arc_token_request *request) {
  struct arc_form_field more[ARC_CERTIFICATE_FIELDS];
  struct arc_buf jwk = {0};
  bool ok = append_fields(body, request->fields, request->n_fields) &&
            (!request->certify ||
             (arc_certificate_fields(request->certify, &jwk, more) &&
              append_fields(body, more, ARC_CERTIFICATE_FIELDS)));
  arc_buf_free(&jwk);
  return ok;
}

enum { HEADERS_MAX = 16 };

static size_t fill_headers(const struct arc_token_request *request,
                           struct arc_http_header headers[HEADERS_MAX]) {
  static const struct arc_http_header usual[] = {
      {.name = "Accept", .value = "application/json"},
      {.name = "x-ms-lib-capability", .value = "retry-after, h429"},
      {.name = "Content-Type", .value = "application/x-www-form-urlencoded"}};
  size_t n = request->fields ? 3 : 1; // the others are for a form
  memcpy(headers, usual, n * sizeof *usual);
  for (size_t i = 0; i < request->n_headers && n < HEADERS_MAX; i++) {
    headers[n++] = request->headers[i];
  }
  return n;
}

static struct arc_op *start_http(struct arc_loop *loop,
                                 const struct arc_token_request *request) {
  struct arc_http_header headers[HEADERS_MAX];
  struct arc_buf body = {.secret = true};
  struct arc_op *http = NULL;
  if (append_form(&body, request)) {
    const struct arc_http_request ask = {
        .url = request->url,
        .method = request->fields ? "POST" : "GET",
        .headers = headers,
        .n_headers = fill_headers(request, headers),
        .body = request->fields ? arc_buf_head(&body) : NULL,
        .n_body = arc_buf_len(&body),
        .ca = request->ca,
        .deadline = request->deadline,
        .connect_timeout = CONNECT_SECONDS,
        .max_body = ANSWER_MAX,
        .secret = true};
    http = arc_http_request(loop, &ask);
  }
  arc_buf_free(&body);
  return http;
}

static void detach(struct arc_op *op) {
  struct token_op *token = (struct token_op *)op;
  arc_op_free(token->http);
  token->http = NULL;
}

static void destroy(struct arc_op *op) {
  detach(op);
  arc_token_clear(&((struct token_op *)op)->token);
  arc_sshkey_unref(((struct token_op *)op)->certify);
  free(op);
}

struct arc_op *arc_token_request(struct arc_loop *loop,
                                 const struct arc_token_request *request) {
  static const struct arc_op_class token_class = {
      .name = "token.request", .detach = detach, .destroy = destroy};
  struct token_op *op = arc_op_new(loop, &token_class, sizeof *op, ARC_FOREVER);
  if (!op) {
    return NULL;
  }
  op->asked = arc_loop_time(loop);
  op->assertion = request->assertion;
  op->device = request->device;
  op->certify = request->certify ? arc_sshkey_ref(request->certify) : NULL;
  op->http = start_http(loop, request);
  if (op->http) {
    op->http->notify = answered;
    op->http->notify_arg = op;
  } else {
    arc_op_finish(&op->op, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
  return &op->op;
}

struct arc_token *arc_token_of(struct arc_op *op) {
  return &((struct token_op *)op)->token;
}
