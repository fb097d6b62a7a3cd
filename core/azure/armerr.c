/* SPDX-License-Identifier: MIT */
#include "azure/armerr.h"

#include <string.h>
#include <strings.h>

#include "azure/claims.h"
#include "azure/json.h"
#include "util/buf.h"
#include "util/err.h"

enum { EXCERPT = 200, TEXT_MAX = 2000, DETAILS_MAX = 3 };

/* ARM's words that say more than the status. */
static const struct {
  const char *code;
  const char *reason;
} codes[] = {
    {"AnotherOperationInProgress", "arm.busy"},
    {"AuthorizationFailed", "arm.authorization-failed"},
    {"ConflictingOperation", "arm.busy"},
    {"HCRP409", "arm.busy"},
    {"InvalidAuthenticationTokenTenant", "arm.wrong-tenant"},
    {"LinkedAuthorizationFailed", "arm.authorization-failed"},
    {"MissingSubscriptionRegistration", "arm.provider-not-registered"},
    {"NoRegisteredProviderFound", "arm.provider-not-registered"},
    {"SubscriptionNotRegistered", "arm.provider-not-registered"},
};

static const char *reason_of_code(const char *code) {
  for (size_t i = 0; code && i < sizeof codes / sizeof *codes; i++) {
    if (!strcasecmp(code, codes[i].code)) {
      return codes[i].reason;
    }
  }
  return NULL;
}

static const char *reason_of_status(int status, bool list_credentials) {
  switch (status) {
  case 401:
    return "arm.token-refused";
  case 403:
    return "arm.authorization-failed";
  case 404:
    return "arm.not-found";
  case 408:
    return "arm.server-error";
  case 409:
    return "arm.conflict";
  case 412:
    return list_credentials ? "arm.setup-needed" : "arm.precondition-failed";
  case 429:
    return "arm.throttled";
  default:
    return status >= 500   ? "arm.server-error"
           : status >= 400 ? "arm.bad-request"
                           : "http.bad-answer";
  }
}

/* The object that has the code: {"error":{...}}, or the answer itself. */
static const json_t *error_of(const json_t *answer) {
  const json_t *error = json_object_get(answer, "error");
  return json_is_object(error) ? error : answer;
}

static const char *code_of(const json_t *error) {
  const char *code = arc_json_text(error, "code");
  return code ? code : arc_json_text(error, "Code");
}

static const char *text_of(const json_t *error) {
  static const char *const keys[] = {"message", "Message"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const char *text = arc_json_text(error, keys[i]);
    if (text && *text) {
      return text;
    }
  }
  return NULL;
}

/* Resource Graph's own message says nothing: the last of the details does. */
static const char *graph_message(const json_t *error) {
  static const char empty[] = "Please provide below info when asking for";
  const char *text = text_of(error);
  const json_t *details = json_object_get(error, "details");
  return text && !strncmp(text, empty, sizeof empty - 1)
             ? text_of(json_array_get(details, json_array_size(details) - 1))
             : NULL;
}

static const char *message_of(const json_t *answer) {
  const char *graph = graph_message(error_of(answer));
  const char *text = graph ? graph : text_of(error_of(answer));
  return text ? text : arc_json_text(answer, "error"); // {"error":"text"}
}

/* The name of the first policy that forbade it, or NULL. */
static const char *policy_of(const json_t *answer) {
  const json_t *info = json_object_get(
      json_array_get(json_object_get(error_of(answer), "additionalInfo"), 0),
      "info");
  const char *name = arc_json_text(info, "policyDefinitionDisplayName");
  return name ? name : arc_json_text(info, "policyDefinitionName");
}

/* Adds what the details say that the message does not. */
static bool add_details(struct arc_buf *to, const json_t *answer) {
  const json_t *details = json_object_get(error_of(answer), "details");
  const char *said = message_of(answer);
  bool ok = true;
  if (graph_message(error_of(answer))) {
    return true;
  }
  for (size_t i = 0; i < json_array_size(details) && i < DETAILS_MAX; i++) {
    const char *text = text_of(json_array_get(details, i));
    if (text && !(said && strstr(said, text))) {
      ok = ok && arc_buf_text(to, "; ") && arc_buf_text(to, text);
    }
  }
  return ok;
}

/* In ARM's own words, or NULL when it has none. */
static struct arc_err *quoted(const char *reason, const json_t *answer) {
  const char *code = code_of(error_of(answer));
  const char *text = message_of(answer);
  const char *policy = policy_of(answer);
  if (!code && !text) {
    return NULL;
  }
  struct arc_buf words = {0};
  if (!arc_buf_text(&words, text ? text : "") || !add_details(&words, answer) ||
      !arc_buf_append(&words, "", 1)) {
    arc_buf_free(&words);
    return arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  const char *said = (const char *)arc_buf_head(&words);
  struct arc_err *err = arc_err_reason(
      reason, "%s%s%.*s%s%s%s", code ? code : "", code && *said ? ": " : "",
      TEXT_MAX, said, policy ? " (policy: " : "", policy ? policy : "",
      policy ? ")" : "");
  arc_buf_free(&words);
  return err;
}

static struct arc_err *excerpt(const char *reason, int status, const char *body,
                               size_t n) {
  n = n < EXCERPT ? n : EXCERPT;
  return arc_err_reason(reason, "status %d%s%.*s", status, n ? ": " : "",
                        (int)n, n ? body : "");
}

static void keep(char *to, size_t size, const char *text) {
  size_t n = 0;
  for (; text && n + 1 < size && text[n] >= ' ' && text[n] < 0x7f; n++) {
    to[n] = text[n];
  }
  to[n] = '\0';
}

static void read_facts(const json_t *answer, struct arc_arm_facts *facts) {
  const json_t *error = error_of(answer);
  const char *target = arc_json_text(error, "target");
  if (!target) {
    target = arc_json_text(json_array_get(json_object_get(error, "details"), 0),
                           "target");
  }
  keep(facts->code, sizeof facts->code, code_of(error));
  keep(facts->target, sizeof facts->target, target);
}

/* The same code tells of a wrong api-version: then it lists the right ones. */
static bool lists_versions(const json_t *answer) {
  static const char words[] = "supported api-versions are '";
  const char *text = message_of(answer);
  const char *at = text ? strstr(text, words) : NULL;
  return at && at[sizeof words - 1] != '\'';
}

static const char *reason_for(int status, const json_t *answer,
                              bool list_credentials) {
  const char *reason = reason_of_code(code_of(error_of(answer)));
  if (reason && !strcmp(reason, "arm.provider-not-registered") &&
      lists_versions(answer)) {
    return "arm.bad-request";
  }
  return reason ? reason : reason_of_status(status, list_credentials);
}

/* Of the server's failures those that the SDKs repeat, too. */
static bool may_pass(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 ||
         status == 503 || status == 504;
}

struct arc_err *arc_arm_error(int status, const char *body, size_t n,
                              bool list_credentials,
                              struct arc_arm_facts *facts) {
  json_t *answer = arc_json_parse(body, n);
  const char *reason = reason_for(status, answer, list_credentials);
  struct arc_err *err = quoted(reason, answer);
  if (!err) {
    err = excerpt(reason, status, body, n);
  }
  read_facts(answer, facts);
  json_decref(answer);
  if (err->refs) {
    err->status = status;
    err->retryable =
        err->retryable && (may_pass(status) || err->code == ARC_E_CONFLICT);
    arc_claims_redact(err->message, strlen(err->message));
  }
  return err;
}
