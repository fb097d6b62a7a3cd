/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_EXEC_ROOM_H
#define ARC_SSH_EXEC_ROOM_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include "ssh/capture.h"
#include "ssh/exec.h"
#include "ssh/guard.h"
#include "ssh/room.h"

/* What exec.c, request.c, sink.c, linger.c and shell.c share about a command.
 */

enum arc_exec_stage {
  ARC_STAGE_OPEN, /* the channel */
  ARC_STAGE_PTY,
  ARC_STAGE_ENV,
  ARC_STAGE_AGENT,
  ARC_STAGE_START, /* the exec request is on its way */
  ARC_STAGE_RUN,
  ARC_STAGE_OVER
};

struct arc_sink {
  bool follow;
  struct arc_capture capture; /* when not followed */
  struct arc_buf queue;       /* when followed */
  bool backlog;               /* libssh holds more */
  bool failed;                /* followed output is lost, for want of memory */
};

struct arc_linger {
  bool on;
  bool term, kill; /* these signals were sent */
  bool sure;       /* the second channel saw the end */
  int64_t start;   /* ms of real time */
  struct arc_timer timer;
  ssh_channel channel; /* the second one, of a guarded command */
  struct ssh_channel_callbacks_struct callbacks;
  char *command; /* that it runs */
  bool asked, opened, sent, closed;
  int status; /* -1 = not yet known */
};

struct arc_exec {
  struct arc_member member;
  struct arc_loop *loop;
  struct arc_session *session; /* NULL once over */
  ssh_channel channel;
  struct ssh_channel_callbacks_struct callbacks;
  enum arc_exec_stage stage;
  bool owned; /* whoever started it still has it */
  bool asked; /* the server was asked to open the channel */
  bool sent;  /* the exec request may have reached the server */
  enum arc_exec_kind kind;
  char *command; /* NULL: a shell */
  char **env;    /* name, value ... NULL; owned */
  size_t env_at;
  bool pty, agent, hang_up;
  bool lenient; /* a refused terminal is done without */
  char *term;
  int cols, rows;
  void (*moved)(void *arg); /* something has changed: posts, frees nothing */
  void *moved_arg;
  struct arc_op *op; /* who waits */
  struct arc_timer timer;
  int64_t began, ended; /* ms on the loop's clock */
  bool wait_input;
  struct arc_stream *input;
  struct arc_buf stdin_buf;
  bool stdin_done;
  struct arc_sink sinks[2];
  bool guarded;
  struct arc_guard guard;
  bool has_status, eof, closed;
  int status;
  char signal[24];
  bool confirmed;
  struct arc_err *why; /* it was ended early, or lost */
  struct arc_err *err; /* of the result, or why it was not sent */
  struct arc_linger linger;
};

/* One request of the way to a running command: SSH_OK, AGAIN or ERROR. */
int arc_exec_request(struct arc_exec *exec);

/* Moves what libssh has held back into sinks that have room again. */
void arc_sinks_drain(struct arc_exec *exec);
/* libssh's callback for data of a channel. */
int arc_sinks_data(ssh_session ssh, ssh_channel channel, void *data, uint32_t n,
                   int is_stderr, void *arg);
/* Followed output waits to be taken. */
bool arc_sinks_ready(const struct arc_exec *exec);
/* The output is complete. */
void arc_sinks_end(struct arc_exec *exec);

/* Begins to end the command on the far side. */
void arc_linger_start(struct arc_exec *exec);
/* Goes on with it. True: it has come to a verdict (exec->confirmed). */
bool arc_linger_step(struct arc_exec *exec);
void arc_linger_end(struct arc_exec *exec);

/* Input for the command, as far as it can be sent now. */
void arc_stdin_feed(struct arc_exec *exec);
void arc_stdin_stop(struct arc_exec *exec);

/* Ends the command early with why (taken over). */
void arc_exec_end(struct arc_exec *exec, struct arc_err *why);

#endif
