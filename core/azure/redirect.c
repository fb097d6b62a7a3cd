/* SPDX-License-Identifier: MIT */
#include "azure/redirect.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypto/digest.h"
#include "util/err.h"

/* A stretch of the head. */
struct part {
  const char *at;
  size_t n;
};

static bool is(struct part part, const char *text) {
  return part.n == strlen(text) && !memcmp(part.at, text, part.n);
}

static struct part trim(struct part part) {
  while (part.n && isblank((unsigned char)*part.at)) {
    part.at++;
    part.n--;
  }
  while (part.n && isblank((unsigned char)part.at[part.n - 1])) {
    part.n--;
  }
  return part;
}

/* Takes off what stands before the delimiter; all when there is none. */
static struct part cut(struct part *rest, const char *delimiter) {
  size_t n = strlen(delimiter);
  const char *end = memmem(rest->at, rest->n, delimiter, n);
  struct part part = {rest->at, end ? (size_t)(end - rest->at) : rest->n};
  size_t gone = end ? part.n + n : rest->n;
  rest->at += gone;
  rest->n -= gone;
  return part;
}

/* ---- the head --------------------------------------------------------------
 */

/* Of "METHOD TARGET HTTP/1.1": the status that forbids it, 0 for a form. */
static int judge_line(struct part line) {
  struct part method = cut(&line, " "), target = cut(&line, " ");
  struct part path = cut(&target, "?");
  if ((!is(line, "HTTP/1.1") && !is(line, "HTTP/1.0")) || !is(path, "/")) {
    return 404;
  }
  return is(method, "POST") ? 0 : 405;
}

/* A browser that was led here by a foreign name is not ours. */
static bool is_ours(struct part host, int port) {
  char name[64];
  const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    int n = snprintf(name, sizeof name, "%s:%d", names[i], port);
    if ((size_t)n == host.n && !strncasecmp(host.at, name, host.n)) {
      return true;
    }
  }
  return false;
}

static bool has_host(struct part lines, int port) {
  while (lines.n) {
    struct part value = cut(&lines, "\r\n");
    struct part name = cut(&value, ":");
    if (name.n == 4 && !strncasecmp(name.at, "host", 4)) {
      return is_ours(trim(value), port);
    }
  }
  return false;
}

/* ---- the form --------------------------------------------------------------
 */

static int digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/* Decodes a value of a form in place of its copy. */
static void decode(struct arc_secret *value) {
  size_t to = 0;
  for (size_t i = 0; i < value->len; i++) {
    char c = value->bytes[i];
    int high = c == '%' && i + 2 < value->len ? digit(value->bytes[i + 1]) : -1;
    int low = high >= 0 ? digit(value->bytes[i + 2]) : -1;
    value->bytes[to++] = (char)(low >= 0   ? high << 4 | low
                                : c == '+' ? ' '
                                           : c);
    i += low >= 0 ? 2 : 0;
  }
  explicit_bzero(value->bytes + to, value->len - to);
  value->len = to;
  value->bytes[to] = '\0';
}

/* The value of a field, the first of that name, decoded; NULL: it is missing,
 * or *failed for want of memory. */
static struct arc_secret *field(struct part form, const char *name,
                                bool *failed) {
  while (form.n) {
    struct part value = cut(&form, "&");
    if (is(cut(&value, "="), name)) {
      struct arc_secret *copy = arc_secret_new(value.at, value.n);
      *failed |= !copy;
      if (copy) {
        decode(copy);
      }
      return copy;
    }
  }
  return NULL;
}

static bool same_state(struct part form, const char *state, bool *failed) {
  struct arc_secret *got = field(form, "state", failed);
  bool same =
      got && arc_crypto_equal(got->bytes, got->len, state, strlen(state));
  arc_secret_unref(got);
  return same;
}

/* What an answer without a code says; NULL: nothing. */
static struct arc_err *read_error(struct part form, bool *failed) {
  struct arc_secret *error = field(form, "error", failed);
  struct arc_secret *text = field(form, "error_description", failed);
  struct arc_err *err = NULL;
  if (error && error->len) {
    bool declined = !strcmp(error->bytes, "access_denied");
    err = arc_err_reason(
        declined ? "entra.declined" : "entra.interaction-required", "%s (%s)",
        text ? text->bytes : "the sign-in failed", error->bytes);
  }
  arc_secret_unref(error);
  arc_secret_unref(text);
  return err;
}

int arc_redirect_read(const struct arc_secret *request, int port,
                      const char *state, struct arc_secret **code,
                      struct arc_err **err) {
  struct part form = {request->bytes, request->len};
  struct part lines = cut(&form, "\r\n\r\n");
  bool failed = false;
  *code = NULL;
  *err = NULL;
  int status = judge_line(cut(&lines, "\r\n"));
  if (status == 404 || !has_host(lines, port)) {
    return 404;
  }
  if (status) {
    return status;
  }
  if (same_state(form, state, &failed)) {
    *code = field(form, "code", &failed);
    if (*code && !(*code)->len) {
      arc_secret_unref(*code);
      *code = NULL;
    }
    *err = *code ? NULL : read_error(form, &failed);
  }
  return failed ? 500 : *code || *err ? 200 : 400;
}
