/* SPDX-License-Identifier: MIT */
#ifndef ARC_REASON_H
#define ARC_REASON_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

/* The long closed list: what exactly happened, and what the user can do. */
struct arc_reason {
  const char *name; /* "relay.no-listener" */
  enum arc_code code;
  bool retryable;
  const char *remedy;
};

extern const struct arc_reason arc_reasons[];
extern const size_t arc_reasons_count;

/* NULL when there is none of that name. */
const struct arc_reason *arc_reason_find(const char *name);

#endif
