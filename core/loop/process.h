/* SPDX-License-Identifier: MIT */
#ifndef ARC_PROCESS_H
#define ARC_PROCESS_H

#include "loop/loop.h"

/* A child process. Its pipes are handed out as descriptors, so that loop/
 * needs no streams. */
struct arc_process;

enum arc_stdio {
  ARC_STDIO_NULL,
  ARC_STDIO_PIPE,
  ARC_STDIO_INHERIT,
  ARC_STDIO_FILE
};

struct arc_spawn {
  char *const *args;       /* NULL ended; args[0] is searched in PATH */
  char *const *env;        /* NULL ended "K=V", the whole environment */
  const char *cwd;         /* or NULL */
  const char *stderr_path; /* for ARC_STDIO_FILE: appended to */
  const char *hostname;    /* own UTS namespace where allowed, or NULL */
  enum arc_stdio io[3];
  bool socket;  /* one socket pair as stdin and stdout */
  bool session; /* setsid: a process group of its own */
  bool die_with_parent;
  bool drop; /* become uid, gid */
  unsigned uid, gid;
};

/* NULL with *err set; an absent program is ARC_E_NOTFOUND. */
struct arc_process *arc_process_spawn(struct arc_loop *loop,
                                      const struct arc_spawn *how,
                                      struct arc_err **err);
int arc_process_pid(const struct arc_process *process);
/* The parent's end of stdin, stdout, stderr (ARC_STDIO_PIPE), or of the
 * socket pair (0); -1 when there is none or it was taken. The caller owns
 * it. */
int arc_process_take_fd(struct arc_process *process, int which);
/* Ends when the process has; then arc_process_status tells how. */
struct arc_op *arc_process_wait(struct arc_process *process);
int arc_process_status(const struct arc_process *process); /* or -1 */
int arc_process_signal(const struct arc_process *process); /* or 0 */
/* 0 or negative errno; the process group when it has a session. */
int arc_process_kill(struct arc_process *process, int signal);
/* Kills it when it runs, reaps it, frees. Waiting ops end with `closed`. */
void arc_process_close(struct arc_process *process);

const char *arc_signal_name(int signal); /* "KILL", or "?" */
int arc_signal_number(const char *name); /* "KILL" or "SIGKILL"; 0 unknown */

#endif
