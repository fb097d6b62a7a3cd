/* SPDX-License-Identifier: MIT */
#include "azure/token.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azure/certificate.h"
#include "azure/claims.h"
#include "azure/expiry.h"
#include "azure/json.h"
#include "net/http.h"
#include "util/err.h"

enum {
  ANSWER_MAX = 1024 * 1024,
  TOKEN_MAX = 64 * 1024,
  CONNECT_SECONDS = 10,
  HIDDEN_MIN = 8,        /* shorter ones would blank out words */
  DEVICE_SECONDS = 1800, /* a device code's life and pace, when not given */
  DEVICE_INTERVAL = 5
};

struct token_op {
  struct arc_op op;
  struct arc_op *http;
  double asked; /* when, on the wall clock */
  bool assertion;
  bool device;
  char *type;                 /* that was asked for; NULL: Bearer */
  struct arc_sshkey *certify; /* or NULL */
  struct arc_buf hidden;      /* the secrets that are sent, ended by NUL */
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
  free(token->client_id);
  free(token->object_id);
  free(token->msi_res_id);
  free(token->claims);
  free(token->correlation_id);
  memset(token, 0, sizeof *token);
}

/* ---- the answer ------------------------------------------------------------
 */

static char *copy_text(const json_t *answer, const char *key) {
  const char *text = arc_json_text(answer, key);
  return text ? strdup(text) : NULL;
}

static struct arc_secret *copy_secret(const json_t *answer, const char *key) {
  const char *text = arc_json_text(answer, key);
  return text && *text ? arc_secret_new(text, strlen(text)) : NULL;
}

/* Its life is its own affair: it is used once, at once. */
static bool read_assertion(const json_t *answer, double asked,
                           struct arc_token *token) {
  token->secret = copy_secret(answer, "value");
  token->expires_on = asked;
  token->refresh_on = -1;
  return token->secret;
}

/* False when the answer is not a device code. */
static bool read_device(const json_t *answer, double asked,
                        struct arc_token *token) {
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
  token->expires_on = asked + life;
  return token->secret && token->user_code && token->verification_uri;
}

/* Another type than was asked for: an ordinary token where a service does not
 * know the wish, or one that must be proved. */
static bool wrong_type(const struct token_op *op, const json_t *answer) {
  const char *type = arc_json_text(answer, "token_type");
  return type && strcasecmp(type, op->type ? op->type : "Bearer") != 0;
}

/* NULL, or why the answer is no certificate. */
static struct arc_err *read_certificate(struct token_op *op,
                                        const json_t *answer) {
  struct arc_token *token = &op->token;
  struct arc_err *err = NULL;
  double now = arc_loop_time(op->op.loop);
  token->certificate = arc_certificate_read(answer, op->certify, now, &err);
  if (token->certificate) {
    token->certified = arc_sshkey_ref(op->certify);
    token->expires_on = (double)token->certificate->valid_before;
    token->refresh_on = -1;
    token->refresh_token = copy_secret(answer, "refresh_token");
    token->id_token = copy_secret(answer, "id_token");
    return NULL;
  }
  return err ? err
             : arc_err_reason("entra.bad-token",
                              "the answer holds no SSH certificate");
}

/* NULL, or why the answer is not a token. */
static const char *read_token(struct token_op *op, const json_t *answer) {
  struct arc_token *token = &op->token;
  const char *text = arc_json_text(answer, "access_token");
  double in = 0;
  if (!text || !*text) {
    return "the answer holds no access token";
  }
  if (strlen(text) > TOKEN_MAX) {
    return "the access token has more than 64 KiB";
  }
  if (wrong_type(op, answer)) {
    return "the token is of another type than was asked for";
  }
  if (!arc_expiry_read(answer, op->asked, false, &token->expires_on)) {
    return "the answer does not say when the token expires";
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
  token->client_id = copy_text(answer, "client_id");
  token->object_id = copy_text(answer, "object_id");
  token->msi_res_id = copy_text(answer, "msi_res_id");
  return token->secret ? NULL : "out of memory";
}

static const char *read_wanted(struct token_op *op, const json_t *answer) {
  if (op->device) {
    return read_device(answer, op->asked, &op->token)
               ? NULL
               : "the answer is not a device code";
  }
  if (op->assertion) {
    return read_assertion(answer, op->asked, &op->token)
               ? NULL
               : "the answer holds no token";
  }
  return read_token(op, answer);
}

/* What a well-formed answer lacks; http.bad-answer when it is no JSON. */
static struct arc_err *read_success(struct token_op *op, const char *body,
                                    size_t n) {
  json_t *answer = arc_json_secret(body, n);
  bool sound = json_is_object(answer) && !json_object_get(answer, "error");
  const char *why = NULL;
  struct arc_err *err = NULL;
  if (sound && op->certify) {
    err = read_certificate(op, answer);
  } else if (sound) {
    why = read_wanted(op, answer);
  }
  arc_json_wipe(answer);
  return !sound ? arc_token_error(200, body, n)
         : why  ? arc_err_reason("entra.bad-token", "%s", why)
                : err;
}

/* How many seconds our clock is ahead of the one who answered; 0: unknown. */
static double skew_of(const struct arc_http_op *http) {
  const char *date = arc_http_header(http, "date");
  time_t then = date ? curl_getdate(date, NULL) : -1;
  return then < 0 ? 0 : arc_loop_time(http->op.loop) - (double)then;
}

struct arc_err *arc_token_read(const struct arc_token_request *request,
                               const char *body, size_t n, double asked,
                               struct arc_token *into) {
  struct token_op op = {.asked = asked,
                        .assertion = request->assertion,
                        .device = request->device};
  struct arc_err *err = read_success(&op, body, n);
  *into = op.token;
  return err;
}

/* A service, or a proxy before it, that repeats what it was sent. */
static void hide(struct arc_err *err, const struct arc_buf *secrets) {
  const char *secret = (const char *)arc_buf_head(secrets);
  const char *end = secret + arc_buf_len(secrets);
  arc_claims_redact(err->message, strlen(err->message));
  for (; secret < end; secret += strlen(secret) + 1) {
    size_t n = strlen(secret);
    for (char *at; (at = strstr(err->message, secret));) {
      memset(at, '*', n);
    }
  }
}

static struct arc_err *read_answer(struct token_op *op,
                                   const struct arc_http_op *http) {
  const struct arc_token_answer answer = {
      .status = http->status,
      .body = (const char *)arc_buf_head(&http->body),
      .n = arc_buf_len(&http->body),
      .skew = skew_of(http)};
  op->token.skew = answer.skew;
  struct arc_err *err = http->status == 200
                            ? read_success(op, answer.body, answer.n)
                            : arc_token_refusal(&answer, &op->token);
  if (err && err->refs) {
    err->retry_after = arc_http_retry_after(http);
    err->status = http->status;
    hide(err, &op->hidden);
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
  arc_wipe_stack();
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

static bool add_secret(struct arc_buf *to, const char *text, size_t n) {
  return n < HIDDEN_MIN || memchr(text, '*', n) ||
         (arc_buf_append(to, text, n) && arc_buf_append(to, "", 1));
}

static bool note_secrets(struct arc_buf *to,
                         const struct arc_token_request *request) {
  bool ok = true;
  to->secret = true;
  for (size_t i = 0; i < request->n_fields; i++) {
    const struct arc_form_field *field = &request->fields[i];
    ok &= !field->secret || add_secret(to, field->value, field->n);
  }
  for (size_t i = 0; i < request->n_headers; i++) {
    const struct arc_secret *bearer = request->headers[i].bearer;
    ok &= !bearer || add_secret(to, bearer->bytes, bearer->len);
  }
  return ok;
}

static void detach(struct arc_op *op) {
  struct token_op *token = (struct token_op *)op;
  arc_op_free(token->http);
  token->http = NULL;
}

static void destroy(struct arc_op *op) {
  detach(op);
  struct token_op *token = (struct token_op *)op;
  arc_token_clear(&token->token);
  arc_sshkey_unref(token->certify);
  arc_buf_free(&token->hidden);
  free(token->type);
  free(op);
}

/* The type that a form asks for, NULL when it does not. */
static char *type_wanted(const struct arc_token_request *request) {
  for (size_t i = 0; i < request->n_fields; i++) {
    if (!strcmp(request->fields[i].name, "token_type")) {
      return strndup(request->fields[i].value, request->fields[i].n);
    }
  }
  return NULL;
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
  op->type = type_wanted(request);
  op->certify = request->certify ? arc_sshkey_ref(request->certify) : NULL;
  op->http =
      note_secrets(&op->hidden, request) ? start_http(loop, request) : NULL;
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
