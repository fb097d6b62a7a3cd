/* SPDX-License-Identifier: MIT */
/* What a server says before its version line, in pieces of every kind. The
 * first byte: the size of the pieces. */
#include "fuzz.h"

#include "ssh/greeting.h"

/* Where the version line begins; size: nowhere. */
static size_t version_at(const uint8_t *data, size_t size) {
  for (size_t at = 0; at + 4 <= size; at++) {
    if ((!at || data[at - 1] == '\n') && !memcmp(data + at, "SSH-", 4)) {
      return at;
    }
  }
  return size;
}

/* What follows the version line is never given to the filter. */
static struct arc_greeting filter(struct fuzz_input in, size_t piece,
                                  struct arc_buf *out) {
  struct arc_greeting g = {0};
  while (in.left) {
    size_t n = piece < in.left ? piece : in.left;
    struct arc_buf part = {0};
    DEMAND(arc_buf_append(&part, in.at, n));
    if (!g.done) {
      arc_greeting_filter(&g, &part);
    }
    DEMAND(g.done || !arc_buf_len(&part));
    DEMAND(arc_buf_append(out, arc_buf_head(&part), arc_buf_len(&part)));
    arc_buf_free(&part);
    in.at += n;
    in.left -= n;
  }
  return g;
}

static void check_first(const struct arc_greeting *g, struct fuzz_input in) {
  DEMAND(g->first_len < sizeof g->first && !g->first[g->first_len]);
  const uint8_t *at = in.at;
  const uint8_t *end = in.at + in.left;
  while (at < end && (*at == '\r' || *at == '\n')) {
    at++;
  }
  size_t n = g->first_len;
  DEMAND(n <= (size_t)(end - at) && !memcmp(g->first, at, n));
  DEMAND(!memchr(g->first, '\n', n) && !memchr(g->first, '\r', n));
}

static void check(struct fuzz_input in, size_t piece, size_t version) {
  struct arc_buf out = {0};
  struct arc_greeting g = filter(in, piece, &out);
  size_t rest = in.left - version;
  DEMAND(g.done == (rest > 0));
  DEMAND(arc_buf_len(&out) == rest);
  DEMAND(!memcmp(arc_buf_head(&out), in.at + version, rest));
  check_first(&g, (struct fuzz_input){in.at, version});
  DEMAND(!g.done || !arc_greeting_endless(&g));
  DEMAND(g.done || in.left < 16384 || memchr(in.at, '\n', in.left) ||
         arc_greeting_endless(&g));
  arc_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  size_t piece = (size_t)fuzz_byte(&in) + 1;
  if (in.left) {
    size_t version = version_at(in.at, in.left);
    check(in, in.left, version);
    check(in, piece, version);
    check(in, 1, version);
  }
  return 0;
}
