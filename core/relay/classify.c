/* SPDX-License-Identifier: MIT */
#include "relay/classify.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "util/err.h"
#include "util/utf8.h"

enum { TEXT_MAX = 1024 };

struct rule {
  int status;
  bool begins;      /* the message begins with text */
  const char *text; /* or has it somewhere, any case; "" = any */
  const char *reason;
};

/* The first that fits counts. */
static const struct rule rules[] = {
    {400, false, "only for web-socket requests", "net.proxy-answer"},
    {401, false, "", "relay.denied"},
    {403, false, "", "relay.denied"},
    {404, false, "None of the connected listeners accepted", "relay.too-slow"},
    {404, false, "None of the connected listeners meet", "relay.rejected"},
    {404, false, "no listeners connected", "relay.no-listener"},
    {404, false, "", "relay.no-endpoint"},
    {407, false, "", "net.proxy-answer"},
    {408, false, "", "relay.too-slow"},
    {429, false, "", "relay.busy"},
    {500, false, "", "relay.server-error"},
    {502, false, "AcceptHandler", "relay.rejected"},
    {502, false, "", "relay.server-error"},
    {503, true, "connection to ", "relay.sshd-refused"},
    {503, false, "", "relay.busy"},
    {504, false, "", "relay.too-slow"},
};

static bool fits(const struct rule *rule, int status, const char *text) {
  if (rule->status != status) {
    return false;
  }
  return rule->begins ? !strncasecmp(text, rule->text, strlen(rule->text))
                      : strcasestr(text, rule->text) != NULL;
}

static const char *reason_for(int status, const char *text) {
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    if (fits(&rules[i], status, text)) {
      return rules[i].reason;
    }
  }
  if (status >= 400) {
    return "relay.rejected"; // a listener may say anything
  }
  return status >= 200 ? "net.proxy-answer" : "relay.bad-answer";
}

/* Cuts "message TrackingId:id, ..." in two; returns where the id begins. */
static const char *cut_tracking(char *text) {
  static const char mark[] = "TrackingId:";
  char *at = strstr(text, mark);
  if (!at) {
    return "";
  }
  const char *id = at + sizeof mark - 1;
  while (at > text && (at[-1] == ' ' || at[-1] == ',')) {
    at--;
  }
  *at = '\0';
  return id;
}

static bool is_printable(char c) { return c > ' ' && c < 0x7f; }

static void copy_tracking(struct arc_err *err, const char *id) {
  size_t n = 0;
  while (n < sizeof err->tracking_id - 1 && is_printable(id[n]) &&
         id[n] != ',') {
    err->tracking_id[n] = id[n];
    n++;
  }
  err->tracking_id[n] = '\0';
}

/* Bytes that are no text would reach a terminal raw. */
static void make_text(char *text, size_t n) {
  bool valid = arc_utf8_valid(text, n);
  for (size_t i = 0; !valid && i < n; i++) {
    text[i] = (signed char)text[i] < 0 ? '?' : text[i];
  }
}

struct arc_err *arc_relay_classify(int status, const char *phrase, size_t n) {
  char text[TEXT_MAX];
  n = n < sizeof text ? n : sizeof text - 1;
  memcpy(text, phrase, n);
  text[n] = '\0';
  make_text(text, n);
  const char *id = cut_tracking(text);
  struct arc_err *err = arc_err_reason(reason_for(status, text), "%s (%d)",
                                       *text ? text : "no explanation", status);
  if (err->refs) { // not the shared one
    err->status = status;
    copy_tracking(err, id);
  }
  return err;
}
