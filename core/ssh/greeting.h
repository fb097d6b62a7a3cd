/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_GREETING_H
#define ARC_SSH_GREETING_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

/* What a server may say before its version line (RFC 4253, 4.2): lines of any
 * text. They are taken out here, since libssh takes only short ones; the first
 * is kept for messages. */
struct arc_greeting {
  bool done;      /* the version line has begun */
  bool skipping;  /* inside a line that is no version line */
  size_t matched; /* bytes of "SSH-" at the start of this line */
  size_t line;    /* bytes of this line */
  bool first_over;
  size_t first_len;
  char first[80]; /* the first line, as it came, cut */
};

/* Takes the bytes of `in` up to the version line out of it. False without
 * memory. */
bool arc_greeting_filter(struct arc_greeting *greeting, struct arc_buf *in);
/* A line has become longer than any greeting is. */
bool arc_greeting_endless(const struct arc_greeting *greeting);

#endif
