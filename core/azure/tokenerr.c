/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "azure/aadsts.h"
#include "azure/claims.h"
#include "azure/json.h"
#include "azure/token.h"
#include "util/err.h"

enum {
  EXCERPT = 200,
  TEXT_MAX = 2000, /* of what a service says */
  SKEW_MAX = 300   /* seconds that Entra tolerates */
};

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

static json_int_t code_of(const json_t *answer) {
  return json_integer_value(
      json_array_get(json_object_get(answer, "error_codes"), 0));
}

static bool is_one_of(const json_t *answer, const json_int_t *codes) {
  json_int_t first = code_of(answer);
  for (; *codes; codes++) {
    if (first == *codes) {
      return true;
    }
  }
  return false;
}

/* Entra has ended a loop of equal requests: whoever goes on makes it worse. */
static bool is_loop(const json_t *answer) { return code_of(answer) == 50196; }

static bool names_no_tenant(const json_t *answer) {
  static const json_int_t codes[] = {90002, 900023, 900021, 50059, 0};
  return is_one_of(answer, codes);
}

/* A right assertion from a wrong clock is refused by these. */
static bool is_about_time(const json_t *answer) {
  static const json_int_t codes[] = {700024, 50013, 50012, 700027, 0};
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

/* Of any service; NULL: the body must tell. */
static const char *reason_of_status(int status) {
  return status == 429                    ? "entra.throttled"
         : status == 408 || status >= 500 ? "entra.server-error"
                                          : NULL;
}

static const char *reason_for(const struct arc_token_answer *from,
                              const json_t *answer) {
  const char *reason = reason_of_status(from->status);
  if (reason) {
    return reason;
  }
  if (is_loop(answer)) {
    return "entra.throttled";
  }
  if (names_no_tenant(answer)) {
    return "entra.bad-tenant";
  }
  if (is_signed_out(answer)) {
    return "entra.signed-out";
  }
  if (fabs(from->skew) > SKEW_MAX && is_about_time(answer)) {
    return "entra.clock-skew";
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
  n = trace && (size_t)(trace - text) < n ? (size_t)(trace - text) : n;
  return n < TEXT_MAX ? n : TEXT_MAX;
}

static char *copy_text(const json_t *answer, const char *key) {
  const char *text = arc_json_text(answer, key);
  return text ? strdup(text) : NULL;
}

static void keep_more(struct arc_token *into, const json_t *answer) {
  if (into) {
    into->claims = copy_text(answer, "claims");
    into->correlation_id = copy_text(answer, "correlation_id");
  }
}

/* Which code, in plain words; of a wrong clock by how much instead. */
static void explain(char *to, size_t size, const struct arc_token_answer *from,
                    const struct arc_aadsts *known, bool skewed) {
  *to = '\0';
  if (skewed) { // NOLINTNEXTLINE: cut at size
    snprintf(to, size,
             "this machine's clock is %.0f s %s Entra's: ", fabs(from->skew),
             from->skew > 0 ? "ahead of" : "behind");
  } else if (known) { // NOLINTNEXTLINE: cut at size
    snprintf(to, size, "%s: ", known->meaning);
  }
}

static struct arc_err *oauth_error(const struct arc_token_answer *from,
                                   const json_t *answer) {
  const char *error = arc_json_text(answer, "error");
  const char *text = arc_json_text(answer, "error_description");
  const char *trace = arc_json_text(answer, "trace_id");
  const char *reason = reason_for(from, answer);
  const struct arc_aadsts *known = arc_aadsts_find(code_of(answer));
  bool skewed = !strcmp(reason, "entra.clock-skew");
  char words[200];
  text = text ? text : error;
  explain(words, sizeof words, from, known, skewed);
  struct arc_err *err = arc_err_reason(reason, "%s%.*s (%.100s)", words,
                                       (int)sentence(text), text, error);
  if (known && !skewed && err->refs) {
    err->remedy = known->remedy;
    err->retryable = err->retryable && !is_loop(answer);
  }
  if (trace) {
    arc_err_track(err, trace);
  }
  return err;
}

/* What services besides Entra say: {"error":{"code","message"}} (Cloud Shell),
 * {"statusCode","message"} (App Service). NULL: another shape. */
static struct arc_err *platform_error(int status, const json_t *answer) {
  const json_t *error = json_object_get(answer, "error");
  const json_t *holder = json_is_object(error) ? error : answer;
  const char *text = arc_json_text(holder, "message");
  const char *code = arc_json_text(holder, "code");
  const char *reason = reason_of_status(status);
  if (!text) {
    return NULL;
  }
  return arc_err_reason(reason ? reason : "cred.identity-failed",
                        "status %d: %.*s%s%.100s%s", status,
                        (int)sentence(text), text, code ? " (" : "",
                        code ? code : "", code ? ")" : "");
}

static struct arc_err *foreign_error(const struct arc_token_answer *from) {
  const char *reason = reason_of_status(from->status);
  size_t n = from->n < EXCERPT ? from->n : EXCERPT;
  char text[EXCERPT] = "";
  if (from->status < 300) { // a token may be in it
    n = 0;
  }
  if (n) {
    memcpy(text, from->body, n);
    arc_claims_redact(text, n);
  }
  return arc_err_reason(reason ? reason : "http.bad-answer", "status %d%s%.*s",
                        from->status, n ? ": " : "", (int)n, text);
}

static struct arc_err *judge(const struct arc_token_answer *from,
                             const json_t *answer) {
  if (arc_json_text(answer, "error")) {
    return oauth_error(from, answer);
  }
  if (from->status == 200) {
    return arc_err_reason("http.bad-answer", "the answer is not a token");
  }
  struct arc_err *err =
      from->status >= 300 ? platform_error(from->status, answer) : NULL;
  return err ? err : foreign_error(from);
}

struct arc_err *arc_token_refusal(const struct arc_token_answer *from,
                                  struct arc_token *into) {
  json_t *answer = arc_json_secret(from->body, from->n);
  struct arc_err *err = judge(from, answer);
  keep_more(into, answer);
  arc_json_wipe(answer);
  if (err->refs) {
    err->status = from->status;
  }
  return err;
}

struct arc_err *arc_token_error(int status, const char *body, size_t n) {
  const struct arc_token_answer answer = {
      .status = status, .body = body, .n = n};
  return arc_token_refusal(&answer, NULL);
}
