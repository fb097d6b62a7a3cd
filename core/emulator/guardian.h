/* SPDX-License-Identifier: MIT */
#ifndef ARC_GUARDIAN_H
#define ARC_GUARDIAN_H

/* What the guardian is to do when its maker is gone. */
struct arc_guard {
  const char *dir;  /* removed with all that is in it; never follows links */
  const char *mark; /* "NAME=VALUE": every process that this user may look
                       into and whose environment holds it is killed */
  int parent;       /* when this process (id) ends, the maker is ended: TERM,
                       5 s later KILL; 0 = none */
};

/* Starts the guardian: a process of its own session that outlives its maker
 * by any signal, SIGKILL included. It acts when the returned descriptor (and
 * all copies; it is close-on-exec) is closed or shut down, and its end of the
 * connection closes when it is done. Returns the descriptor or a negative
 * errno. */
int arc_guardian_start(const struct arc_guard *guard);

#endif
