/* SPDX-License-Identifier: MIT */
#include "crypto/sshcert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/err.h"
#include "util/utf8.h"

static const char SUFFIX[] = "-cert-v01@openssh.com";
static const char RSA_TYPE[] = "ssh-rsa-cert-v01@openssh.com";

enum { PRINCIPALS_MAX = 256 }; /* OpenSSH's own limit */

/* ---- reading --------------------------------------------------------------
 */

int arc_sshcert_fields(const char *type, char plain[64]) {
  static const struct {
    const char *begin;
    int fields;
  } kinds[] = {{"ssh-ed25519", 1},
               {"ssh-rsa", 2},
               {"ecdsa-sha2-", 2},
               {"sk-ssh-ed25519", 2},
               {"sk-ecdsa-sha2-", 3}};
  const char *end = strstr(type, SUFFIX);
  if (!end || end[sizeof SUFFIX - 1]) {
    return 0;
  }
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (!strncmp(type, kinds[i].begin, strlen(kinds[i].begin))) {
      snprintf(plain, 64, "%.*s%s", (int)(end - type), type,
               strncmp(type, "sk-", 3) ? "" : "@openssh.com");
      return kinds[i].fields;
    }
  }
  return 0;
}

static struct arc_span take(struct arc_cursor *cur) {
  struct arc_span span = {NULL, 0};
  span.at = arc_cursor_string(cur, &span.n);
  span.n = span.at ? span.n : 0; // there are not as many as it says
  return span;
}

bool arc_sshcert_next(struct arc_span *list, struct arc_span *string) {
  struct arc_cursor cur = {.at = list->at, .left = list->n};
  if (!list->n) {
    return false;
  }
  *string = take(&cur);
  list->at = cur.at;
  list->n = cur.failed ? 0 : (uint32_t)cur.left;
  return !cur.failed;
}

struct arc_span arc_sshcert_value(struct arc_span data) {
  struct arc_span value = {data.at, 0};
  struct arc_span rest = data;
  return arc_sshcert_next(&rest, &value) && !rest.n ? value : data;
}

/* How many strings the list holds, or -1 when it is broken. */
static int count(struct arc_span list) {
  struct arc_span string;
  int n = 0;
  while (list.n) {
    if (!arc_sshcert_next(&list, &string)) {
      return -1;
    }
    n++;
  }
  return n;
}

/* Names are texts: no NUL, no control characters, UTF-8. */
static bool is_text(struct arc_span span) {
  for (uint32_t i = 0; i < span.n; i++) {
    if (span.at[i] < 0x20 || span.at[i] == 0x7f) {
      return false;
    }
  }
  return !span.n || arc_utf8_valid((const char *)span.at, span.n);
}

static bool all_text(struct arc_span list, bool pairs) {
  struct arc_span string, data;
  while (arc_sshcert_next(&list, &string)) {
    if (!is_text(string) || (pairs && !arc_sshcert_next(&list, &data))) {
      return false;
    }
  }
  return true;
}

static bool read_type(struct arc_sshcert *cert, struct arc_cursor *cur,
                      int *fields) {
  char plain[64];
  struct arc_span type = take(cur);
  if (cur->failed || !is_text(type) || type.n >= sizeof cert->type) {
    return false;
  }
  if (type.n) {
    memcpy(cert->type, type.at, type.n);
  }
  return (*fields = arc_sshcert_fields(cert->type, plain)) > 0;
}

static void read_key(struct arc_sshcert *cert, struct arc_cursor *cur,
                     int fields) {
  take(cur); // the nonce
  if (!strcmp(cert->type, RSA_TYPE)) {
    cert->e = take(cur);
    cert->n = take(cur);
    return;
  }
  while (fields--) {
    take(cur);
  }
}

static const char *fault_of(const struct arc_sshcert *cert,
                            const struct arc_cursor *cur) {
  int principals = count(cert->principals);
  return cur->failed ? "it ends too early"
         : cur->left ? "bytes follow its end"
         : cert->kind != ARC_SSHCERT_USER && cert->kind != ARC_SSHCERT_HOST
             ? "it is for neither users nor hosts"
         : principals < 0 || principals > PRINCIPALS_MAX ||
                 !all_text(cert->principals, false) || !is_text(cert->key_id)
             ? "its names cannot be read"
         : count(cert->critical) < 0 || !all_text(cert->critical, true) ||
                 count(cert->extensions) < 0 ||
                 !all_text(cert->extensions, true)
             ? "its options cannot be read"
             : NULL;
}

/* Why it cannot be read, or NULL. */
static const char *read_all(struct arc_sshcert *cert) {
  struct arc_cursor cur = {.at = cert->blob, .left = cert->n_blob};
  int fields = 0;
  if (!read_type(cert, &cur, &fields)) {
    return "it is of no known type";
  }
  read_key(cert, &cur, fields);
  cert->serial = arc_cursor_u64(&cur);
  cert->kind = arc_cursor_u32(&cur);
  cert->key_id = take(&cur);
  cert->principals = take(&cur);
  cert->valid_after = arc_cursor_u64(&cur);
  cert->valid_before = arc_cursor_u64(&cur);
  cert->critical = take(&cur);
  cert->extensions = take(&cur);
  take(&cur); // reserved
  cert->authority = take(&cur);
  take(&cur); // the signature
  return fault_of(cert, &cur);
}

struct arc_sshcert *arc_sshcert_parse(const uint8_t *blob, size_t n,
                                      struct arc_err **err) {
  struct arc_sshcert *cert =
      n <= ARC_SSHCERT_MAX ? calloc(1, sizeof *cert + n + 1) : NULL;
  if (!cert) {
    *err = n <= ARC_SSHCERT_MAX
               ? arc_err_new(ARC_E_NOMEM, "out of memory")
               : arc_err_new(ARC_E_PROTOCOL, "the certificate is too long");
    return NULL;
  }
  cert->refs = 1;
  cert->n_blob = n;
  if (n) {
    memcpy(cert->blob, blob, n);
  }
  const char *why = read_all(cert);
  if (why) {
    *err = arc_err_new(ARC_E_PROTOCOL, "not an OpenSSH certificate: %s", why);
    arc_sshcert_unref(cert);
    return NULL;
  }
  return cert;
}

struct arc_sshcert *arc_sshcert_ref(struct arc_sshcert *cert) {
  cert->refs++;
  return cert;
}

void arc_sshcert_unref(struct arc_sshcert *cert) {
  if (cert && !--cert->refs) {
    free(cert);
  }
}

/* ---- judging --------------------------------------------------------------
 */

static const char *time_text(uint64_t seconds, char text[32]) {
  struct tm tm;
  time_t t = (time_t)seconds;
  if (seconds > INT32_MAX * 8ULL || !gmtime_r(&t, &tm) ||
      !strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &tm)) {
    return "the end of time";
  }
  return text;
}

static struct arc_err *check_time(const struct arc_sshcert *cert, double now) {
  char from[32], to[32];
  if (now >= (double)cert->valid_after && now < (double)cert->valid_before) {
    return NULL;
  }
  return arc_err_reason(
      "entra.certificate-time", "the certificate is valid from %s to %s only",
      time_text(cert->valid_after, from), time_text(cert->valid_before, to));
}

struct arc_err *arc_sshcert_check(const struct arc_sshcert *cert,
                                  const struct arc_sshkey *key, double now) {
  struct arc_span list = cert->principals, first = {NULL, 0};
  const char *why =
      cert->kind != ARC_SSHCERT_USER      ? "it is not for users"
      : strcmp(cert->type, RSA_TYPE) != 0 ? "it is not of an RSA key"
      : !arc_sshkey_is(key, cert->e.at, cert->e.n, cert->n.at, cert->n.n)
          ? "it is of another key"
      : !arc_sshcert_next(&list, &first) || !first.n ? "it names no user"
                                                     : NULL;
  return why ? arc_err_reason("entra.bad-certificate", "the certificate: %s",
                              why)
             : check_time(cert, now);
}
