/* SPDX-License-Identifier: MIT */
#include "azure/armerr.h"

#include <string.h>
#include <strings.h>

#include "azure/json.h"
#include "util/err.h"

enum { EXCERPT = 200, TEXT_MAX = 2000 };

/* ARM's words that say more than the status. */
static const struct {
  const char *code;
  const char *reason;
} codes[] = {
    {"AuthorizationFailed", "arm.authorization-failed"},
    {"LinkedAuthorizationFailed", "arm.authorization-failed"},
    {"MissingSubscriptionRegistration", "arm.provider-not-registered"},
    {"NoRegisteredProviderFound", "arm.provider-not-registered"},
    {"SubscriptionNotRegistered", "arm.provider-not-registered"},
};

static const char *reason_for(int status, const char *code,
                              bool list_credentials) {
  for (size_t i = 0; code && i < sizeof codes / sizeof *codes; i++) {
    if (!strcasecmp(code, codes[i].code)) {
      return codes[i].reason;
    }
  }
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
    return list_credentials ? "arm.setup-needed" : "arm.conflict";
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

/* Resource Graph's own message says nothing: the last of the details does. */
static const char *graph_message(const json_t *error, const char *text) {
  static const char empty[] = "Please provide below info when asking for";
  const json_t *details = json_object_get(error, "details");
  if (!text || strncmp(text, empty, sizeof empty - 1) != 0) {
    return text;
  }
  const char *last = arc_json_text(
      json_array_get(details, json_array_size(details) - 1), "message");
  return last && *last ? last : text;
}

static const char *message_of(const json_t *answer) {
  static const char *const keys[] = {"message", "Message"};
  const json_t *error = error_of(answer);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const char *text = arc_json_text(error, keys[i]);
    if (text && *text) {
      return graph_message(error, text);
    }
  }
  return arc_json_text(answer, "error"); // {"error":"text"}
}

/* The name of the first policy that forbade it, or NULL. */
static const char *policy_of(const json_t *answer) {
  const json_t *info = json_object_get(
      json_array_get(json_object_get(error_of(answer), "additionalInfo"), 0),
      "info");
  const char *name = arc_json_text(info, "policyDefinitionDisplayName");
  return name ? name : arc_json_text(info, "policyDefinitionName");
}

/* In ARM's own words, or NULL when it has none. */
static struct arc_err *quoted(const char *reason, const json_t *answer) {
  const char *code = arc_json_text(error_of(answer), "code");
  const char *text = message_of(answer);
  const char *policy = policy_of(answer);
  if (!code && !text) {
    return NULL;
  }
  return arc_err_reason(reason, "%s%s%.*s%s%s%s", code ? code : "",
                        code && text ? ": " : "", TEXT_MAX, text ? text : "",
                        policy ? " (policy: " : "", policy ? policy : "",
                        policy ? ")" : "");
}

static struct arc_err *excerpt(const char *reason, int status, const char *body,
                               size_t n) {
  n = n < EXCERPT ? n : EXCERPT;
  return arc_err_reason(reason, "status %d%s%.*s", status, n ? ": " : "",
                        (int)n, n ? body : "");
}

struct arc_err *arc_arm_error(int status, const char *body, size_t n,
                              bool list_credentials) {
  json_t *answer = arc_json_parse(body, n);
  const char *code = arc_json_text(error_of(answer), "code");
  const char *reason = reason_for(status, code, list_credentials);
  struct arc_err *err = quoted(reason, answer);
  if (!err) {
    err = excerpt(reason, status, body, n);
  }
  json_decref(answer);
  if (err->refs) {
    err->status = status;
  }
  return err;
}
