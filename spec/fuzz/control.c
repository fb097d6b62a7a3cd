/* SPDX-License-Identifier: MIT */
/* A listener's text message on its control channel. */
#include "fuzz.h"

#include <jansson.h>

#include "emulator/control.h"

static enum arc_control_kind kind_of(const char *text, size_t n) {
  struct arc_control control;
  DEMAND(!arc_control_read(&control, text, n));
  enum arc_control_kind kind = control.kind;
  DEMAND(kind == ARC_CONTROL_RENEW || !control.token);
  arc_control_free(&control);
  return kind;
}

/* A token is text, and is read again from a message that is made of it. */
static void check_token(const char *token) {
  struct arc_control again;
  DEMAND(arc_utf8_valid(token, strlen(token)));
  json_t *message = json_pack("{s:{s:s}}", "renewToken", "token", token);
  char *text = json_dumps(message, JSON_COMPACT | JSON_ENSURE_ASCII);
  DEMAND(text);
  if (strlen(text) <= ARC_CONTROL_MAX) {
    DEMAND(!arc_control_read(&again, text, strlen(text)));
    DEMAND(again.token && !strcmp(again.token, token));
    arc_control_free(&again);
  }
  free(text);
  json_decref(message);
}

/* The object with one more member before its own, {"renewToken":{}}. */
static void check_twice(enum arc_control_kind kind, const char *text,
                        size_t n) {
  static const char more[] = "{\"renewToken\":{},";
  const char *open = memchr(text, '{', n);
  DEMAND(open);
  size_t rest = n - (size_t)(open + 1 - text);
  size_t size = sizeof more - 1 + rest;
  char *both = malloc(size);
  DEMAND(both);
  memcpy(both, more, sizeof more - 1);
  memcpy(both + sizeof more - 1, open + 1, rest);
  enum arc_control_kind got = kind_of(both, size);
  DEMAND(got == ARC_CONTROL_MALFORMED ||
         (got == ARC_CONTROL_RENEW && kind == ARC_CONTROL_UNKNOWN));
  free(both);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  struct arc_control control;
  DEMAND(!arc_control_read(&control, text, size));
  if (control.token) {
    check_token(control.token);
  }
  arc_control_free(&control);
  if (control.kind != ARC_CONTROL_MALFORMED) {
    DEMAND(arc_utf8_valid(text, size) && size <= ARC_CONTROL_MAX);
    check_twice(control.kind, text, size);
  }
  return 0;
}
