/* SPDX-License-Identifier: MIT */
#include "ssh/greeting.h"

#include <string.h>

static const char MARK[] = "SSH-";
enum { MARK_LEN = sizeof MARK - 1, LINE_MAX_BYTES = 8192 };

static void keep_first(struct arc_greeting *g, char c) {
  if (c == '\r' || c == '\n') {
    g->first_over = g->first_over || g->first_len;
  } else if (!g->first_over && g->first_len + 1 < sizeof g->first) {
    g->first[g->first_len++] = c;
  }
}

/* The bytes that had looked like the mark were none. */
static void start_skipping(struct arc_greeting *g) {
  for (size_t i = 0; i < g->matched; i++) {
    keep_first(g, MARK[i]);
  }
  g->matched = 0;
  g->skipping = true;
}

static void take(struct arc_greeting *g, char c) {
  g->line++;
  if (!g->skipping && c == MARK[g->matched]) {
    g->done = ++g->matched == MARK_LEN;
    return;
  }
  if (!g->skipping) {
    start_skipping(g);
  }
  keep_first(g, c);
  if (c == '\n') {
    g->skipping = false;
    g->line = 0;
  }
}

bool arc_greeting_filter(struct arc_greeting *g, struct arc_buf *in) {
  const char *data = (const char *)arc_buf_head(in);
  size_t n = arc_buf_len(in);
  size_t at = 0;
  while (!g->done && at < n) {
    take(g, data[at++]);
  }
  struct arc_buf rest = {0};
  if (g->done && (!arc_buf_append(&rest, MARK, MARK_LEN) ||
                  !arc_buf_append(&rest, data + at, n - at))) {
    arc_buf_free(&rest);
    return false;
  }
  arc_buf_free(in);
  *in = rest;
  return true;
}

bool arc_greeting_endless(const struct arc_greeting *g) {
  return !g->done && g->line > LINE_MAX_BYTES;
}
