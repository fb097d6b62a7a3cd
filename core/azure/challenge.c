/* SPDX-License-Identifier: MIT */
#include "azure/challenge.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "azure/json.h"
#include "crypto/base64.h"

/* A stretch of the header. */
struct part {
  const char *at;
  size_t n;
};

static const char *skip_blank(const char *at) { return at + strspn(at, " \t"); }

static struct part token(const char *at) {
  size_t n = 0;
  while (isalnum((unsigned char)at[n]) ||
         (at[n] && strchr("!#$%&'*+-.^_`|~", at[n]))) {
    n++;
  }
  return (struct part){at, n};
}

static bool same(struct part part, const char *name) {
  return part.n == strlen(name) && !strncasecmp(part.at, name, part.n);
}

/* A quoted string at *at, appended to `to` unless that is NULL; false when it
 * does not end. */
static bool quoted(const char **at, struct arc_buf *to) {
  const char *c = *at + 1;
  bool ok = true;
  for (; *c && *c != '"'; c++) {
    c += *c == '\\' && c[1];
    ok = ok && (!to || arc_buf_append(to, c, 1));
  }
  *at = c + (*c == '"');
  return ok && *c == '"';
}

/* The value behind "name=" at *at, as quoted. */
static bool value(const char **at, struct arc_buf *to) {
  if (**at == '"') {
    return quoted(at, to);
  }
  size_t n = strcspn(*at, " \t,\"");
  const char *from = *at;
  *at += n;
  return n && (!to || arc_buf_append(to, from, n));
}

/* Where the value of "name = value" begins; NULL: it is no parameter. The
 * padding of a token68 is none either. */
static const char *value_of(struct part name) {
  const char *at = skip_blank(name.at + name.n);
  if (!name.n || *at != '=') {
    return NULL;
  }
  at = skip_blank(at + 1);
  return *at && *at != ',' && *at != '=' ? at : NULL;
}

/* Walks over one comma-separated element: "scheme", "scheme token68", "scheme
 * name=value" or "name=value". *in: it is of the scheme. 1: found, 0: go on,
 * -1: this is no challenge. */
static int element(const char **at, const char *scheme, const char *wanted,
                   bool *in, struct arc_buf *to) {
  struct part name = token(*at);
  const char *from = value_of(name);
  if (!from && name.n) { // a scheme, before its first parameter
    *in = same(name, scheme);
    *at = skip_blank(name.at + name.n);
    name = token(*at);
    from = value_of(name);
    if (!from) { // nothing, or a token68
      *at += strcspn(*at, " \t,\"");
      return 0;
    }
  }
  if (!from) {
    return -1;
  }
  bool found = *in && same(name, wanted);
  *at = from;
  return !value(at, found ? to : NULL) ? -1 : found;
}

bool arc_challenge_param(const char *header, const char *scheme,
                         const char *name, struct arc_buf *to) {
  bool in = false;
  const char *at = header + strspn(header, " \t,");
  while (*at) {
    int found = element(&at, scheme, name, &in, to);
    at = skip_blank(at);
    if (found || (*at && *at != ',')) {
      return found > 0;
    }
    at += strspn(at, " \t,");
  }
  return false;
}

bool arc_challenge_claims(const char *header, struct arc_buf *to) {
  struct arc_buf coded = {0}, text = {0};
  bool ok = arc_challenge_param(header, "bearer", "claims", &coded) &&
            arc_base64_decode(&text, (const char *)arc_buf_head(&coded),
                              arc_buf_len(&coded));
  json_t *claims =
      ok ? arc_json_parse((const char *)arc_buf_head(&text), arc_buf_len(&text))
         : NULL;
  ok = json_is_object(claims) &&
       arc_buf_append(to, arc_buf_head(&text), arc_buf_len(&text));
  json_decref(claims);
  arc_buf_free(&coded);
  arc_buf_free(&text);
  return ok;
}
