/* SPDX-License-Identifier: MIT */
#include "ssh/shell.h"

#include <stdlib.h>

#include "ssh/exec_room.h"
#include "util/err.h"

/* One of the two streams. */
struct end {
  struct arc_stream base;
  struct arc_shell *shell; /* NULL: it was closed */
  int which;               /* 0: input and output, 1: error output */
  bool wants_read, wants_write;
};

/* What waits for it to start, or to be over. */
struct shell_op {
  struct arc_op op;
  struct arc_shell *shell; /* NULL once it has left */
};

struct arc_shell {
  struct arc_exec *exec;
  struct end *ends[2]; /* NULL: closed */
  bool taken[2];
  struct shell_op *opener, *waiter;
  bool shut;    /* no more input ... */
  bool said;    /* ... and the server knows */
  bool resized; /* the server does not know the size */
};

static struct end *self(struct arc_stream *s) { return (struct end *)s; }

static bool runs(const struct arc_shell *shell) {
  return shell->exec->stage == ARC_STAGE_RUN && !shell->exec->closed;
}

static bool is_over(const struct arc_shell *shell) {
  return shell->exec->stage == ARC_STAGE_OVER;
}

/* Why there is no orderly end, or NULL. */
static struct arc_err *why_lost(const struct arc_shell *shell) {
  const struct arc_exec *x = shell->exec;
  return x->why ? x->why : is_over(shell) ? arc_exec_unsent(x) : NULL;
}

/* ---- what waits ------------------------------------------------------------
 */

static bool may_read(const struct end *end) {
  const struct arc_exec *x = end->shell ? end->shell->exec : NULL;
  return !x || end->base.err || arc_buf_len(&x->sinks[end->which].queue) ||
         x->why || is_over(end->shell) ||
         ((x->eof || x->closed) && !x->sinks[end->which].backlog);
}

static bool may_write(const struct end *end) {
  const struct arc_exec *x = end->shell ? end->shell->exec : NULL;
  return !x || end->base.err || end->which || end->shell->shut || x->closed ||
         x->why || is_over(end->shell) ||
         (runs(end->shell) && arc_session_may_write(x->session, x->channel));
}

static void wake(struct end *end) {
  if (end->wants_read && may_read(end)) {
    end->wants_read = false;
    arc_stream_readable(&end->base);
  }
  if (end->wants_write && may_write(end)) {
    end->wants_write = false;
    arc_stream_writable(&end->base);
  }
}

static void end_op(struct shell_op **at, struct arc_err *err) {
  struct shell_op *op = *at;
  *at = NULL;
  op->shell = NULL;
  arc_op_finish(&op->op, err);
}

/* What was asked for before it ran. */
static void catch_up(struct arc_shell *shell) {
  struct arc_exec *x = shell->exec;
  if (shell->resized && x->pty) {
    ssh_channel_change_pty_size(x->channel, x->cols, x->rows);
  }
  if (shell->shut && !shell->said) {
    shell->said = true;
    ssh_channel_send_eof(x->channel);
  }
  shell->resized = false;
}

static void moved(void *arg) {
  struct arc_shell *shell = arg;
  struct arc_exec *x = shell->exec;
  if (!x) {
    return; // it has not yet been given its place
  }
  if (runs(shell)) {
    catch_up(shell);
  }
  if (shell->opener && x->stage >= ARC_STAGE_RUN) {
    struct arc_err *err = is_over(shell) ? arc_exec_unsent(x) : NULL;
    end_op(&shell->opener, err ? arc_err_ref(err) : NULL);
  }
  if (shell->waiter && is_over(shell)) {
    end_op(&shell->waiter, NULL);
  }
  for (int i = 0; i < 2; i++) {
    if (shell->ends[i]) {
      wake(shell->ends[i]);
    }
  }
}

/* ---- the streams -----------------------------------------------------------
 */

static ssize_t end_read(struct arc_stream *s, void *to, size_t n) {
  struct end *end = self(s);
  if (s->err || !end->shell) {
    return ARC_FAILED;
  }
  struct arc_exec *x = end->shell->exec;
  struct arc_sink *sink = &x->sinks[end->which];
  size_t got = arc_buf_take(&sink->queue, to, n);
  if (got) {
    arc_exec_take(x, end->which, 0); // lets more come
    return (ssize_t)got;
  }
  struct arc_err *lost = why_lost(end->shell);
  if (lost) {
    return arc_stream_fail(s, arc_err_ref(lost));
  }
  return is_over(end->shell) || ((x->eof || x->closed) && !sink->backlog)
             ? 0
             : ARC_AGAIN;
}

static ssize_t refuse_write(struct arc_stream *s) {
  const struct end *end = self(s);
  struct arc_err *lost = why_lost(end->shell);
  const char *text = end->which         ? "%s is only read"
                     : end->shell->shut ? "write to %s after its shutdown"
                                        : "%s was closed by the server";
  return arc_stream_fail(s, lost ? arc_err_ref(lost)
                                 : arc_err_new(ARC_E_CLOSED, text, s->name));
}

static ssize_t end_write(struct arc_stream *s, const void *from, size_t n) {
  struct end *end = self(s);
  if (s->err || !end->shell) {
    return ARC_FAILED;
  }
  struct arc_exec *x = end->shell->exec;
  if (end->which || end->shell->shut || x->closed || x->why ||
      is_over(end->shell)) {
    return refuse_write(s);
  }
  int sent =
      runs(end->shell) ? arc_session_write(x->session, x->channel, from, n) : 0;
  if (sent) {
    arc_session_wake(x->session); // says itself when the session has died
  }
  return sent > 0 ? sent : ARC_AGAIN;
}

static void end_want_read(struct arc_stream *s) {
  self(s)->wants_read = true;
  wake(self(s));
}

static void end_want_write(struct arc_stream *s) {
  self(s)->wants_write = true;
  wake(self(s));
}

static void end_shutdown(struct arc_stream *s) {
  struct end *end = self(s);
  if (end->shell && !end->which && !end->shell->shut) {
    end->shell->shut = true;
    if (end->shell->exec->session) {
      arc_session_wake(end->shell->exec->session);
    }
    wake(end);
  }
}

/* From now on what comes is discarded. */
static void discard(struct arc_exec *x, int which) {
  x->sinks[which].follow = false;
  x->sinks[which].capture.max = 0;
  arc_buf_free(&x->sinks[which].queue);
  if (x->session) {
    arc_session_wake(x->session);
  }
}

static void end_close(struct arc_stream *s) {
  struct end *end = self(s);
  if (end->shell) {
    end_shutdown(s);
    discard(end->shell->exec, end->which);
    end->shell->ends[end->which] = NULL;
  }
  arc_stream_fini(s);
  free(end);
}

static void end_abort(struct arc_stream *s, struct arc_err *why) {
  (void)why;
  end_close(s);
}

static const struct arc_stream_class end_class = {
    .kind = "shell",
    .read = end_read,
    .write = end_write,
    .want_read = end_want_read,
    .want_write = end_want_write,
    .shutdown = end_shutdown,
    .close = end_close,
    .abort = end_abort,
};

static bool add_end(struct arc_shell *shell, struct arc_loop *loop, int which) {
  struct end *end = calloc(1, sizeof *end);
  if (end) {
    arc_stream_init(&end->base, loop, &end_class,
                    which ? "shell's error output" : "shell");
    end->shell = shell;
    end->which = which;
    shell->ends[which] = end;
  }
  return end;
}

struct arc_stream *arc_shell_take(struct arc_shell *shell, int which) {
  if (shell->taken[which]) {
    return NULL;
  }
  shell->taken[which] = true;
  return &shell->ends[which]->base;
}

/* ---- running it ------------------------------------------------------------
 */

struct arc_shell *arc_shell_start(struct arc_session *session,
                                  const char *command,
                                  const struct arc_exec_options *given) {
  struct arc_exec_options opts = *given;
  struct arc_shell *shell = calloc(1, sizeof *shell);
  opts.timeout = -1;
  opts.holds_input = opts.follow[0] = opts.follow[1] = true;
  opts.hang_up = opts.pty || opts.kind != ARC_EXEC_COMMAND;
  if (opts.pty) {
    opts.guard = ARC_GUARD_OFF;
  }
  if (!shell || !add_end(shell, session->loop, 0) ||
      !add_end(shell, session->loop, 1)) {
    arc_shell_close(shell);
    return NULL;
  }
  shell->exec = arc_exec_start(session, command, &opts);
  if (!shell->exec) {
    arc_shell_close(shell);
    return NULL;
  }
  shell->exec->moved = moved;
  shell->exec->moved_arg = shell;
  return shell;
}

static void detach(struct arc_op *op) {
  struct arc_shell *shell = ((struct shell_op *)op)->shell;
  ((struct shell_op *)op)->shell = NULL;
  if (!shell) {
    return;
  }
  if ((struct shell_op *)op == shell->opener) {
    shell->opener = NULL;
  } else {
    shell->waiter = NULL;
  }
}

static struct arc_op *new_op(struct arc_shell *shell, struct shell_op **at,
                             const struct arc_op_class *cls) {
  struct shell_op *op =
      arc_op_new(shell->exec->loop, cls, sizeof *op, ARC_FOREVER);
  if (!op) {
    return NULL;
  }
  op->shell = shell;
  *at = op;
  moved(shell);
  return &op->op;
}

struct arc_op *arc_shell_open(struct arc_shell *shell) {
  static const struct arc_op_class cls = {.name = "ssh.shell",
                                          .detach = detach};
  return new_op(shell, &shell->opener, &cls);
}

struct arc_op *arc_shell_wait(struct arc_shell *shell) {
  static const struct arc_op_class cls = {.name = "ssh.shell.wait",
                                          .detach = detach};
  return new_op(shell, &shell->waiter, &cls);
}

bool arc_shell_waited(const struct arc_shell *shell) { return shell->waiter; }

struct arc_exec_result arc_shell_result(const struct arc_shell *shell) {
  return arc_exec_result(shell->exec);
}

bool arc_shell_has_terminal(const struct arc_shell *shell) {
  return shell->exec->pty;
}

void arc_shell_resize(struct arc_shell *shell, int cols, int rows) {
  struct arc_exec *x = shell->exec;
  x->cols = cols;
  x->rows = rows;
  shell->resized = true;
  if (x->session) {
    arc_session_wake(x->session);
  }
}

bool arc_shell_signal(struct arc_shell *shell, const char *name) {
  struct arc_exec *x = shell->exec;
  if (!runs(shell)) {
    return false;
  }
  ssh_channel_request_send_signal(x->channel, name);
  arc_session_wake(x->session);
  return true;
}

void arc_shell_close(struct arc_shell *shell) {
  if (!shell) {
    return;
  }
  struct shell_op **waits[] = {&shell->opener, &shell->waiter};
  for (int i = 0; i < 2; i++) {
    struct end *end = shell->ends[i];
    if (*waits[i]) {
      arc_op_cancel(&(*waits[i])->op,
                    arc_err_new(ARC_E_CLOSED, "the shell was closed"));
    }
    if (!end) {
      continue;
    }
    end->shell = NULL;
    if (shell->taken[i]) {
      arc_stream_fail(&end->base,
                      arc_err_new(ARC_E_CLOSED, "the shell was closed"));
    } else {
      arc_stream_close(&end->base);
    }
  }
  if (shell->exec) {
    shell->exec->moved = NULL;
    arc_exec_release(shell->exec);
  }
  free(shell);
}
