/* SPDX-License-Identifier: MIT */
#ifndef ARC_ERR_H
#define ARC_ERR_H

#include <stdbool.h>
#include <stdint.h>

/* The short closed list of what went wrong; see docs/internals.md. */
enum arc_code {
  ARC_E_UNKNOWN,
  ARC_E_TIMEOUT,
  ARC_E_CANCELLED,
  ARC_E_CLOSED,
  ARC_E_REFUSED,
  ARC_E_DNS,
  ARC_E_TLS,
  ARC_E_AUTH,
  ARC_E_DENIED,
  ARC_E_NOTFOUND,
  ARC_E_CONFLICT,
  ARC_E_THROTTLED,
  ARC_E_UNAVAILABLE,
  ARC_E_PROTOCOL,
  ARC_E_LIMIT,
  ARC_E_HOSTKEY,
  ARC_E_CONFIG,
  ARC_E_IO,
  ARC_E_NOMEM,
  ARC_E_COUNT
};

/* An error value: made once, then shared unchanged. Reference counted. */
struct arc_err {
  unsigned refs;
  enum arc_code code;
  const char *reason; /* static text of the closed list, or NULL */
  const char *remedy; /* static text instead of the reason's, or NULL */
  const char *op;     /* static text: "relay.connect", or NULL */
  const char *phase;  /* static text: "tls", "upgrade", or NULL */
  bool retryable;
  int status;         /* HTTP status, close code or errno; 0 = none */
  double retry_after; /* seconds; negative = not given */
  char tracking_id[96];
  struct arc_err *cause; /* owned */
  char message[];        /* NUL terminated, printable */
};

/* Makes an error with one reference; never NULL (out of memory gives a shared
 * static one). Control characters in the formatted text, and bytes that are no
 * UTF-8, become "\xNN". Whether it is retryable follows from the code. */
struct arc_err *arc_err_new(enum arc_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for a reason of util/reason.h, which decides code and retryable. A
 * reason that is not in the list is our own bug. */
struct arc_err *arc_err_reason(const char *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* As arc_err_new, for a negated errno or libuv status; the code follows it. */
struct arc_err *arc_err_errno(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says where it happened, unless that is set; returns err. Static texts. */
struct arc_err *arc_err_at(struct arc_err *err, const char *op,
                           const char *phase);
/* Notes what it comes of, unless that is set; takes a reference. */
void arc_err_because(struct arc_err *err, struct arc_err *cause);
/* Notes by what name the service knows the request: its printable text. */
void arc_err_track(struct arc_err *err, const char *id);
struct arc_err *arc_err_ref(struct arc_err *err);
void arc_err_unref(struct arc_err *err); /* NULL is fine */

const char *arc_code_name(enum arc_code code);

#endif
