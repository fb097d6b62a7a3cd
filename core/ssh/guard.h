/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_GUARD_H
#define ARC_SSH_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

/* sshd refuses signals for root logins. There a command runs guarded: before
 * it starts it says its session once, on stderr behind a random word, which
 * is taken out of the output; a second channel can then end that session. */
struct arc_guard {
  char word[40];       /* the random word */
  bool heard;          /* the announcement has come */
  long id;             /* the remote session; 0 = it cannot be ended so */
  struct arc_buf held; /* output that may be part of the announcement */
};

/* The guarded form of command (malloc), with a fresh word; NULL without memory
 * or randomness. */
char *arc_guard_wrap(struct arc_guard *guard, const char *command);
/* Takes output that may hold the announcement, appends what is not to out. */
void arc_guard_filter(struct arc_guard *guard, const void *data, size_t n,
                      struct arc_buf *out);
/* At the end of the output: what was held back is output after all. */
void arc_guard_flush(struct arc_guard *guard, struct arc_buf *out);
/* The command that ends the announced session and all its processes: TERM,
 * 1.5 s later KILL. Its status is 0 when none is left. malloc. */
char *arc_guard_ender(const struct arc_guard *guard);
void arc_guard_free(struct arc_guard *guard);

#endif
