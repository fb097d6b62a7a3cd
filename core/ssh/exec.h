/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_EXEC_H
#define ARC_SSH_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "net/stream.h"
#include "util/buf.h"

struct arc_session;

/* One command on a session. It belongs to whoever started it until
 * arc_exec_release; a command that still runs then is ended on the far side
 * by the loop alone. */
struct arc_exec;

enum arc_guarded { ARC_GUARD_AUTO, ARC_GUARD_ON, ARC_GUARD_OFF };

/* What is asked of the server. */
enum arc_exec_kind { ARC_EXEC_COMMAND, ARC_EXEC_SHELL, ARC_EXEC_SUBSYSTEM };

/* A terminal: its type and its size in characters, 0 = unknown. */
struct arc_pty {
  const char *term; /* NULL: "xterm" of 80 x 24 */
  int cols, rows;
};

struct arc_exec_options {
  enum arc_exec_kind kind; /* a shell has no command, a subsystem its name */
  double timeout;          /* seconds; negative = none */
  const char *stdin_text;  /* n bytes of input, or NULL */
  size_t stdin_len;
  struct arc_stream *input; /* or a stream, which is taken over; or NULL */
  const char *const *env;   /* name, value, name, value ... NULL; or NULL */
  bool pty;
  struct arc_pty terminal; /* with pty */
  bool agent;              /* ask for the forwarding of the agent */
  bool hang_up;            /* end it by closing the channel, without signals */
  bool holds_input;        /* input comes by a shell's stream */
  size_t max_output;       /* bytes kept a stream */
  bool follow[2];          /* stdout, stderr: to be taken as it comes */
  enum arc_guarded guard;
};

enum arc_exec_state {
  ARC_EXEC_OK,
  ARC_EXEC_FAILED,
  ARC_EXEC_TIMEOUT,
  ARC_EXEC_CANCELLED,
  ARC_EXEC_UNKNOWN
};

struct arc_exec_result {
  enum arc_exec_state state;
  int status;         /* -1 = none */
  const char *signal; /* "TERM", or NULL */
  uint64_t truncated;
  double seconds;
  bool confirmed;      /* the command has ended for sure */
  struct arc_err *err; /* borrowed; NULL when ok */
};

/* Begins to run command. The input stream is taken over in any case. NULL
 * without memory. */
struct arc_exec *arc_exec_start(struct arc_session *session,
                                const char *command,
                                const struct arc_exec_options *opts);
/* An operation that ends when followed output can be taken or the command is
 * over. A cancel or time-out of it ends a command that was sent on the far
 * side first: it then ends well, and the result says what happened. One at a
 * time. */
struct arc_op *arc_exec_wait(struct arc_exec *exec);
bool arc_exec_over(const struct arc_exec *exec);
/* When over: the command was never sent, and why (borrowed); NULL = it was. */
struct arc_err *arc_exec_unsent(const struct arc_exec *exec);
/* When over. What it points to lives as long as exec. */
struct arc_exec_result arc_exec_result(const struct arc_exec *exec);
/* Followed output (0 = stdout, 1 = stderr) that waits: n bytes, valid until
 * they are taken. */
const uint8_t *arc_exec_peek(const struct arc_exec *exec, int which, size_t *n);
void arc_exec_take(struct arc_exec *exec, int which, size_t n);
/* What was kept of an output that was not followed, in parts 0, 1, 2. */
const uint8_t *arc_exec_kept(const struct arc_exec *exec, int which, int part,
                             size_t *n);
void arc_exec_release(struct arc_exec *exec);

#endif
