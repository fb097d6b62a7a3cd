/* SPDX-License-Identifier: MIT */
#include "ssh/meter.h"

#include <math.h>
#include <stdlib.h>

/* What may be moved at once after a pause, as seconds of the rate. */
#define BURST 0.1

struct arc_meter {
  unsigned refs;
  struct arc_meter *parent;
  int64_t moved;
  double rate;
  double credit; /* bytes; a debt when negative */
  int64_t since; /* ms: credit was reckoned then */
};

struct arc_meter *arc_meter_new(struct arc_meter *parent, double rate) {
  struct arc_meter *m = calloc(1, sizeof *m);
  if (m) {
    m->refs = 1;
    m->parent = arc_meter_ref(parent);
    m->rate = rate;
    m->credit = rate * BURST;
    m->since = -1;
  }
  return m;
}

struct arc_meter *arc_meter_ref(struct arc_meter *m) {
  if (m) {
    m->refs++;
  }
  return m;
}

void arc_meter_unref(struct arc_meter *m) {
  while (m && !--m->refs) {
    struct arc_meter *parent = m->parent;
    free(m);
    m = parent;
  }
}

static int64_t wait_of(struct arc_meter *m, int64_t now) {
  if (m->rate <= 0) {
    return 0;
  }
  if (m->since >= 0 && now > m->since) {
    m->credit += m->rate * (double)(now - m->since) / 1000;
    m->credit = fmin(m->credit, m->rate * BURST);
  }
  m->since = now;
  return m->credit > 0 ? 0 : (int64_t)(-m->credit / m->rate * 1000) + 1;
}

int64_t arc_meter_wait(struct arc_meter *m, int64_t now) {
  int64_t longest = 0;
  for (; m; m = m->parent) {
    int64_t wait = wait_of(m, now);
    longest = wait > longest ? wait : longest;
  }
  return longest;
}

void arc_meter_spend(struct arc_meter *m, int64_t bytes) {
  for (; m; m = m->parent) {
    m->credit -= m->rate > 0 ? (double)bytes : 0;
  }
}

void arc_meter_count(struct arc_meter *m, int64_t bytes) {
  for (; m; m = m->parent) {
    m->moved += bytes;
  }
}

int64_t arc_meter_moved(const struct arc_meter *m) { return m->moved; }
