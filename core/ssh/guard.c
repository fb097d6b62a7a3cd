/* SPDX-License-Identifier: MIT */
#include "ssh/guard.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

enum { RANDOM_BYTES = 16, DIGITS_MAX = 12 };

/* Announces the session of this shell, when it leads one, and becomes the
 * command as the login shell would run it. $1 is the command; after `set`, $5
 * the session by /proc. No quotes: it stands between single ones. */
static const char WRAP[] =
    "exec sh -c 'read -r l </proc/$$/stat;set -- \"$1\" ${l##*) };"
    "[ \"$5\" = $$ ]&&l=$$||l=0;echo %s $l >&2;"
    "exec \"${SHELL:-/bin/sh}\" -c \"$1\"' sh ";

/* f lists the living processes of session s in p. */
static const char ENDER[] =
    "exec sh -c 's=%ld;"
    "f(){ p=;for d in /proc/[0-9]*;do "
    "{ read -r l <$d/stat;} 2>/dev/null||continue;set -- ${l##*) };"
    "[ \"$4\" = $s ]&&[ \"$1\" != Z ]&&[ \"$1\" != X ]&&p=\"$p ${d#/proc/}\";"
    "done;[ \"$p\" ];};"
    "w(){ sleep .1||sleep 1;};"
    "f||exit 0;kill -TERM $p;kill -CONT $p;"
    "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15;do w;f||exit 0;done;"
    "for i in 1 2 3 4 5 6 7 8 9 10;do kill -KILL $p;w;f||exit 0;done;"
    "exit 1' 2>/dev/null";

/* Quotes for sh and its kin, and for fish, where a backslash also counts
 * between single quotes: ' and \ stand between double ones. */
static bool quote(struct arc_buf *to, const char *text) {
  bool fine = arc_buf_text(to, "'");
  while (*text && fine) {
    size_t n = strcspn(text, "'\\");
    fine = arc_buf_append(to, text, n);
    text += n;
    if (*text) {
      fine = fine && arc_buf_text(to, *text == '\'' ? "'\"'\"'" : "'\"\\\\\"'");
      text++;
    }
  }
  return fine && arc_buf_text(to, "'");
}

static bool make_word(struct arc_guard *guard) {
  unsigned char bytes[RANDOM_BYTES];
  if (RAND_bytes(bytes, sizeof bytes) != 1) {
    return false;
  }
  int at = snprintf(guard->word, sizeof guard->word, "arclua-");
  for (size_t i = 0; i < sizeof bytes; i++) {
    at += snprintf(guard->word + at, sizeof guard->word - (size_t)at, "%02x",
                   bytes[i]);
  }
  return true;
}

char *arc_guard_wrap(struct arc_guard *guard, const char *command) {
  struct arc_buf buf = {0};
  char *text = NULL;
  if (make_word(guard) && arc_buf_format(&buf, WRAP, guard->word) &&
      quote(&buf, command)) {
    text = strndup((const char *)arc_buf_head(&buf), arc_buf_len(&buf));
  }
  arc_buf_free(&buf);
  return text;
}

char *arc_guard_ender(const struct arc_guard *guard) {
  char *text = NULL;
  return asprintf(&text, ENDER, guard->id) < 0 ? NULL : text;
}

/* How many of the last bytes may be the beginning of the word. */
static size_t tail(const struct arc_guard *guard, const uint8_t *data,
                   size_t n) {
  size_t len = strlen(guard->word);
  size_t most = n < len - 1 ? n : len - 1;
  for (size_t k = most; k; k--) {
    if (!memcmp(data + n - k, guard->word, k)) {
      return k;
    }
  }
  return 0;
}

/* The announcement at data: its length with the end of line, 0 = not yet
 * complete; a line that is none of ours is taken as it is (-1). */
static long parse(struct arc_guard *guard, const uint8_t *data, size_t n) {
  size_t at = strlen(guard->word);
  long id = 0;
  size_t digits = 0;
  if (at < n && data[at] != ' ') {
    return -1;
  }
  for (at++; at < n && data[at] >= '0' && data[at] <= '9'; at++) {
    if (++digits > DIGITS_MAX) {
      return -1;
    }
    id = id * 10 + (data[at] - '0');
  }
  if (at < n && data[at] == '\r') {
    at++;
  }
  if (at >= n) {
    return 0;
  }
  if (!digits || data[at] != '\n') {
    return -1;
  }
  guard->id = id > 1 ? id : 0;
  return (long)at + 1;
}

void arc_guard_filter(struct arc_guard *guard, const void *data, size_t n,
                      struct arc_buf *out) {
  if (guard->heard) {
    arc_buf_append(out, data, n);
    return;
  }
  arc_buf_append(&guard->held, data, n);
  const uint8_t *head = arc_buf_head(&guard->held);
  size_t have = arc_buf_len(&guard->held);
  const uint8_t *found = memmem(head, have, guard->word, strlen(guard->word));
  size_t before =
      found ? (size_t)(found - head) : have - tail(guard, head, have);
  arc_buf_append(out, head, before);
  arc_buf_consume(&guard->held, before);
  if (!found) {
    return;
  }
  long len = parse(guard, found, have - before);
  if (len) {
    guard->heard = true;
    arc_buf_consume(&guard->held, len > 0 ? (size_t)len : 0);
    arc_guard_flush(guard, out);
  }
}

void arc_guard_flush(struct arc_guard *guard, struct arc_buf *out) {
  arc_buf_append(out, arc_buf_head(&guard->held), arc_buf_len(&guard->held));
  arc_buf_free(&guard->held);
}

void arc_guard_free(struct arc_guard *guard) { arc_buf_free(&guard->held); }
