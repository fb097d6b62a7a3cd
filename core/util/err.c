/* SPDX-License-Identifier: MIT */
#include "util/err.h"

#include "util/reason.h"
#include "util/utf8.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERR_TEXT_MAX = 6000 };

static const char *const code_names[ARC_E_COUNT] = {
    "unknown",  "timeout",   "cancelled",   "closed",   "refused",
    "dns",      "tls",       "auth",        "denied",   "notfound",
    "conflict", "throttled", "unavailable", "protocol", "limit",
    "hostkey",  "config",    "io",          "nomem"};

/* Handed out when there is no memory for a better one; refs 0 marks it. Many
 * may hold it: nothing of one failure is noted in it. */
static struct arc_err *out_of_memory(void) {
  static union {
    struct arc_err err;
    char room[sizeof(struct arc_err) + 16];
  } nomem;
  nomem.err.code = ARC_E_NOMEM;
  nomem.err.status = 0;
  nomem.err.retry_after = -1;
  memcpy(nomem.room + offsetof(struct arc_err, message), "out of memory", 14);
  return &nomem.err;
}

static bool worth_retrying(enum arc_code code) {
  return code == ARC_E_TIMEOUT || code == ARC_E_CLOSED ||
         code == ARC_E_REFUSED || code == ARC_E_DNS ||
         code == ARC_E_THROTTLED || code == ARC_E_UNAVAILABLE;
}

const char *arc_code_name(enum arc_code code) {
  return code < ARC_E_COUNT ? code_names[code] : code_names[0];
}

/* May a terminal get this character of n bytes (0: of a broken one)? C1
 * controls, which are U+0080 to U+009F, steer it as ESC does. */
static bool is_printable(const char *text, size_t n) {
  unsigned char c = (unsigned char)text[0];
  return n == 1   ? (c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t'
         : n == 2 ? c != 0xc2 || (unsigned char)text[1] >= 0xa0
                  : n > 2;
}

/* Copies text, spelling bytes that are no printable text as \xNN. */
static void sanitise(char *to, const char *from) {
  size_t left = strlen(from);
  while (left) {
    size_t n = arc_utf8_char(from, left);
    bool printable = is_printable(from, n);
    n = n ? n : 1;
    for (size_t i = 0; i < n; i++) {
      if (printable) {
        *to++ = from[i];
      } else { // NOLINTNEXTLINE: 4 bytes are there
        to += snprintf(to, 5, "\\x%02x", (unsigned char)from[i]);
      }
    }
    from += n;
    left -= n;
  }
  *to = '\0';
}

static struct arc_err *make(enum arc_code code, const char *format,
                            va_list args) {
  char text[ERR_TEXT_MAX];
  vsnprintf(text, sizeof text, format, args);
  struct arc_err *err = calloc(1, sizeof *err + 4 * strlen(text) + 1);
  if (!err) {
    return out_of_memory();
  }
  err->refs = 1;
  err->code = code;
  err->retryable = worth_retrying(code);
  err->retry_after = -1;
  sanitise(err->message, text);
  return err;
}

struct arc_err *arc_err_new(enum arc_code code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  struct arc_err *err = make(code, format, args);
  va_end(args);
  return err;
}

struct arc_err *arc_err_reason(const char *reason, const char *format, ...) {
  const struct arc_reason *known = arc_reason_find(reason);
  assert(known);
  va_list args;
  va_start(args, format);
  struct arc_err *err = make(known->code, format, args);
  va_end(args);
  if (err->refs) {
    err->reason = known->name;
    err->retryable = known->retryable;
  }
  return err;
}

struct arc_err *arc_err_at(struct arc_err *err, const char *op,
                           const char *phase) {
  if (err->refs && !err->op) {
    err->op = op;
  }
  if (err->refs && !err->phase) {
    err->phase = phase;
  }
  return err;
}

static enum arc_code code_of_errno(int number) {
  switch (number) {
  case ECONNREFUSED:
    return ARC_E_REFUSED;
  case ETIMEDOUT:
    return ARC_E_TIMEOUT;
  case ECANCELED:
    return ARC_E_CANCELLED;
  case ECONNRESET:
  case EPIPE:
  case ENOTCONN:
    return ARC_E_CLOSED;
  case ENOENT:
    return ARC_E_NOTFOUND;
  case EACCES:
  case EPERM:
    return ARC_E_DENIED;
  case ENOMEM:
    return ARC_E_NOMEM;
  case EMFILE:
  case ENFILE:
    return ARC_E_LIMIT;
  default:
    return ARC_E_IO;
  }
}

struct arc_err *arc_err_errno(int status, const char *format, ...) {
  int number = status < 0 ? -status : status;
  char what[512];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  struct arc_err *err =
      arc_err_new(code_of_errno(number), "%s: %s", what, strerror(number));
  err->status = number;
  return err;
}

void arc_err_because(struct arc_err *err, struct arc_err *cause) {
  if (err->refs && !err->cause) {
    err->cause = arc_err_ref(cause);
  }
}

void arc_err_track(struct arc_err *err, const char *id) {
  size_t n = 0;
  if (!err->refs || strlen(id) >= sizeof err->tracking_id) {
    return;
  }
  for (; id[n] > ' ' && id[n] < 0x7f; n++) {
    err->tracking_id[n] = id[n];
  }
  err->tracking_id[n] = '\0';
}

struct arc_err *arc_err_ref(struct arc_err *err) {
  if (err && err->refs) {
    err->refs++;
  }
  return err;
}

void arc_err_unref(struct arc_err *err) {
  if (!err || !err->refs || --err->refs) {
    return;
  }
  arc_err_unref(err->cause);
  free(err);
}
