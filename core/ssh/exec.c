/* SPDX-License-Identifier: MIT */
#include "ssh/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/exec_room.h"
#include "util/err.h"

struct exec_op {
  struct arc_op op;
  struct arc_exec *exec;
};

static struct arc_exec *of_member(struct arc_member *member) {
  return (struct arc_exec *)member;
}

/* ---- what libssh tells: only noted ----------------------------------------
 */

static void note_status(ssh_session ssh, ssh_channel channel, int status,
                        void *arg) {
  (void)ssh, (void)channel;
  struct arc_exec *x = arg;
  x->has_status = true;
  x->status = status;
}

static void note_signal(ssh_session ssh, ssh_channel channel,
                        const char *signal, int core, const char *message,
                        const char *language, void *arg) {
  (void)ssh, (void)channel, (void)core, (void)message, (void)language;
  struct arc_exec *x = arg;
  snprintf(x->signal, sizeof x->signal, "%s", signal && *signal ? signal : "?");
}

static void note_eof(ssh_session ssh, ssh_channel channel, void *arg) {
  (void)ssh, (void)channel;
  struct arc_exec *x = arg;
  x->eof = true;
}

static void note_close(ssh_session ssh, ssh_channel channel, void *arg) {
  (void)ssh, (void)channel;
  struct arc_exec *x = arg;
  x->closed = true;
}

/* ---- ending ----------------------------------------------------------------
 */

static void free_exec(struct arc_exec *x) {
  arc_timer_stop(x->loop, &x->timer);
  for (int i = 0; i < 2; i++) {
    arc_capture_free(&x->sinks[i].capture);
    arc_buf_free(&x->sinks[i].queue);
  }
  for (char **text = x->env; text && *text; text++) {
    free(*text);
  }
  free(x->env);
  free(x->command);
  free(x->term);
  arc_guard_free(&x->guard);
  arc_err_unref(x->why);
  arc_err_unref(x->err);
  free(x);
}

static void wake_waiter(struct arc_exec *x) {
  struct arc_op *op = x->op;
  if (op && (x->stage == ARC_STAGE_OVER || arc_sinks_ready(x))) {
    x->op = NULL;
    arc_op_finish(op, NULL);
  }
  if (x->moved) {
    x->moved(x->moved_arg);
  }
}

/* How it went, from what was noted. */
static void conclude(struct arc_exec *x) {
  if (x->why) {
    x->err = arc_err_ref(x->why);
  } else if (x->signal[0]) {
    x->err = arc_err_reason("ssh.command-failed",
                            "the command was ended by SIG%s", x->signal);
  } else if (!x->has_status) {
    x->err =
        arc_err_reason("ssh.lost", "the command ended without an exit status");
  } else if (x->status) {
    x->err = arc_err_reason("ssh.command-failed",
                            "the command exited with status %d", x->status);
    x->err->status = x->status;
  }
  if (x->err) {
    arc_err_at(x->err, "ssh.exec", "command");
  }
  if (!x->linger.on) {
    x->confirmed = x->has_status || x->signal[0];
  }
}

/* The channel has done its work; the last word of a command. */
static void finish(struct arc_exec *x) {
  struct arc_session *session = x->session;
  enum arc_channel_state state = x->stage > ARC_STAGE_OPEN ? ARC_CHANNEL_OPEN
                                 : x->asked                ? ARC_CHANNEL_ASKED
                                                           : ARC_CHANNEL_NONE;
  x->stage = ARC_STAGE_OVER;
  x->ended = arc_loop_now(x->loop);
  arc_timer_stop(x->loop, &x->timer);
  arc_stdin_stop(x);
  arc_sinks_end(x);
  if (x->sent) {
    conclude(x);
  } else {
    x->err = x->why ? arc_err_ref(x->why) : NULL;
  }
  arc_linger_end(x);
  if (x->channel) {
    ssh_remove_channel_callbacks(x->channel, &x->callbacks);
    arc_channel_drop(session, x->channel, state);
    x->channel = NULL;
  }
  x->session = NULL;
  arc_session_wake(session);
  wake_waiter(x);
  bool owned = x->owned;
  struct arc_member *member = &x->member;
  arc_session_leave(session, member);
  if (!owned) {
    free_exec(x);
  }
}

void arc_exec_end(struct arc_exec *x, struct arc_err *why) {
  if (x->stage == ARC_STAGE_OVER || x->why) {
    arc_err_unref(why);
    return;
  }
  x->why = why;
  arc_timer_stop(x->loop, &x->timer);
  if (x->sent && !x->hang_up) {
    arc_linger_start(x);
  } else {
    finish(x);
  }
}

static void too_late(void *arg) {
  arc_exec_end(
      arg, arc_err_at(arc_err_new(ARC_E_TIMEOUT, "the command took too long"),
                      "ssh.exec", "command"));
}

/* ---- running ---------------------------------------------------------------
 */

static struct arc_err *refusal(const struct arc_exec *x, const char *what) {
  if (x->stage == ARC_STAGE_START && x->kind == ARC_EXEC_SUBSYSTEM) {
    return arc_err_reason("ssh.no-subsystem",
                          "the SSH server has no subsystem '%s'", x->command);
  }
  return arc_session_error(x->session, "ssh.channel-refused", "%s: %s", what,
                           arc_session_text(x->session));
}

static void refuse(struct arc_exec *x, const char *what) {
  x->sent = x->asked = false;
  x->why =
      x->why ? x->why : arc_err_at(refusal(x, what), "ssh.exec", "channel");
  finish(x);
}

static bool session_dead(struct arc_exec *x) {
  struct arc_session *s = x->session;
  if (s->phase != ARC_SSH_DEAD) {
    return false;
  }
  bool ended = x->has_status || x->signal[0];
  if (!x->sent) {
    x->why = x->why ? x->why : arc_err_ref(s->err);
  } else if (!x->why && !(ended && (x->eof || x->closed))) {
    // An exit status may come before the last output.
    x->why = arc_err_at(arc_err_reason("ssh.lost", "%s%s", s->err->message,
                                       ended ? "; the command had ended, but "
                                               "output may be missing"
                                             : ""),
                        "ssh.exec", "command");
    arc_err_because(x->why, s->err);
  }
  x->confirmed = ended;
  return true;
}

/* False when the command cannot be run; exec is then over, perhaps freed. */
static bool get_going(struct arc_exec *x) {
  static const char *const what[] = {
      "open a channel", "ask for a terminal", "set the environment",
      "ask for the agent's forwarding", "start the command"};
  while (x->stage < ARC_STAGE_RUN) {
    int rc = arc_exec_request(x);
    if (rc == SSH_AGAIN) {
      return true;
    }
    if (rc != SSH_OK) {
      if (arc_session_ended(x->session)) {
        arc_session_wake(x->session); // it will find out and say so
        return true;
      }
      refuse(x, what[x->stage]);
      return false;
    }
    x->stage++;
  }
  return true;
}

static void step(struct arc_member *member) {
  struct arc_exec *x = of_member(member);
  if (session_dead(x)) {
    finish(x);
    return;
  }
  if (!get_going(x)) {
    return;
  }
  if (x->stage == ARC_STAGE_RUN) {
    arc_sinks_drain(x);
    if (!x->closed) {
      arc_stdin_feed(x);
    }
  }
  if (x->sinks[0].failed || x->sinks[1].failed) {
    x->sinks[0].failed = x->sinks[1].failed = false;
    arc_exec_end(x, arc_err_at(arc_err_new(ARC_E_NOMEM, "out of memory"),
                               "ssh.exec", "command"));
    return;
  }
  if (x->linger.on
          ? arc_linger_step(x)
          : x->closed && !x->sinks[0].backlog && !x->sinks[1].backlog) {
    finish(x);
    return;
  }
  wake_waiter(x);
}

static void session_closed(struct arc_member *member) {
  arc_exec_end(of_member(member),
               arc_err_at(arc_err_new(ARC_E_CLOSED, "the session was closed"),
                          "ssh.exec", "command"));
}

/* ---- starting ---------------------------------------------------------------
 */

static bool wants_guard(const struct arc_session *s,
                        const struct arc_exec_options *opts) {
  if (opts->kind != ARC_EXEC_COMMAND) {
    return false;
  }
  if (opts->guard == ARC_GUARD_AUTO) {
    return !s->windows && !strcmp(s->user, "root");
  }
  return opts->guard == ARC_GUARD_ON;
}

static bool copy_env(struct arc_exec *x, const char *const *env) {
  size_t n = 0;
  while (env && env[n]) {
    n++;
  }
  x->env = calloc(n + 1, sizeof *x->env);
  for (size_t i = 0; x->env && i < n; i++) {
    if (!(x->env[i] = strdup(env[i]))) {
      return false;
    }
  }
  return x->env;
}

static char *copy_command(struct arc_exec *x, const char *command) {
  return x->guarded ? arc_guard_wrap(&x->guard, command) : strdup(command);
}

static bool copy_terminal(struct arc_exec *x, const struct arc_pty *pty) {
  x->term = strdup(pty->term ? pty->term : "xterm");
  x->cols = pty->term ? pty->cols : 80;
  x->rows = pty->term ? pty->rows : 24;
  return x->term;
}

static bool fill(struct arc_exec *x, const char *command,
                 const struct arc_exec_options *opts) {
  x->kind = opts->kind;
  x->guarded = wants_guard(x->session, opts);
  x->command = command ? copy_command(x, command) : NULL;
  x->pty = opts->pty;
  x->agent = opts->agent;
  x->hang_up = opts->hang_up;
  x->stdin_done = x->lenient = opts->holds_input;
  for (int i = 0; i < 2; i++) {
    x->sinks[i].follow = opts->follow[i];
    x->sinks[i].capture.max = opts->max_output;
  }
  return (x->command || !command) && copy_env(x, opts->env) &&
         copy_terminal(x, &opts->terminal) &&
         (!opts->stdin_text ||
          arc_buf_append(&x->stdin_buf, opts->stdin_text, opts->stdin_len));
}

static bool open_channel(struct arc_exec *x) {
  x->channel = ssh_channel_new(x->session->ssh);
  if (!x->channel) {
    return false;
  }
  x->callbacks.userdata = x;
  x->callbacks.channel_data_function = arc_sinks_data;
  x->callbacks.channel_close_function = note_close;
  x->callbacks.channel_exit_status_function = note_status;
  x->callbacks.channel_eof_function = note_eof;
  x->callbacks.channel_exit_signal_function = note_signal;
  ssh_callbacks_init(&x->callbacks);
  return ssh_set_channel_callbacks(x->channel, &x->callbacks) == SSH_OK;
}

struct arc_exec *arc_exec_start(struct arc_session *session,
                                const char *command,
                                const struct arc_exec_options *opts) {
  struct arc_exec *x = calloc(1, sizeof *x);
  if (!x) {
    arc_stream_close(opts->input);
    return NULL;
  }
  x->loop = session->loop;
  x->owned = true;
  x->session = session;
  x->input = opts->input;
  x->member.step = step;
  x->member.closed = session_closed;
  arc_session_join(session, &x->member);
  if (session->phase == ARC_SSH_DEAD) {
    x->why = arc_err_ref(session->err);
    finish(x);
  } else if (!fill(x, command, opts) || !open_channel(x)) {
    x->why = arc_err_new(ARC_E_NOMEM, "out of memory");
    finish(x);
  } else {
    arc_timer_start(x->loop, &x->timer,
                    arc_loop_deadline(x->loop, opts->timeout), too_late, x);
    arc_session_wake(session);
  }
  return x;
}

/* ---- waiting ----------------------------------------------------------------
 */

static void detach(struct arc_op *op) {
  struct exec_op *e = (struct exec_op *)op;
  if (e->exec) {
    e->exec->op = NULL;
    e->exec = NULL;
  }
}

static bool defer(struct arc_op *op, struct arc_err *why) {
  struct arc_exec *x = ((struct exec_op *)op)->exec;
  if (!x || !x->sent || x->stage == ARC_STAGE_OVER) {
    return false;
  }
  arc_exec_end(x, arc_err_at(arc_err_ref(why), "ssh.exec", "command"));
  return true;
}

struct arc_op *arc_exec_wait(struct arc_exec *x) {
  static const struct arc_op_class cls = {.name = "ssh.exec", .detach = detach};
  struct exec_op *e = arc_op_new(x->loop, &cls, sizeof *e, ARC_FOREVER);
  if (e) {
    e->exec = x;
    e->op.defer = defer;
    x->op = &e->op;
    wake_waiter(x);
  }
  return e ? &e->op : NULL;
}

bool arc_exec_over(const struct arc_exec *x) {
  return x->stage == ARC_STAGE_OVER;
}

struct arc_err *arc_exec_unsent(const struct arc_exec *x) {
  return x->sent ? NULL : x->err;
}

static enum arc_exec_state state_of(const struct arc_exec *x) {
  if (x->why && x->why->code == ARC_E_TIMEOUT) {
    return ARC_EXEC_TIMEOUT;
  }
  if (x->err && x->err->reason && !strcmp(x->err->reason, "ssh.lost")) {
    return ARC_EXEC_UNKNOWN;
  }
  if (x->why) {
    return ARC_EXEC_CANCELLED;
  }
  return x->err ? ARC_EXEC_FAILED : ARC_EXEC_OK;
}

struct arc_exec_result arc_exec_result(const struct arc_exec *x) {
  return (struct arc_exec_result){
      .state = state_of(x),
      .status = x->has_status ? x->status : -1,
      .signal = x->signal[0] ? x->signal : NULL,
      .truncated = arc_capture_dropped(&x->sinks[0].capture) +
                   arc_capture_dropped(&x->sinks[1].capture),
      .seconds = (double)(x->ended - x->began) / 1000,
      .confirmed = x->confirmed,
      .err = x->err};
}

void arc_exec_release(struct arc_exec *x) {
  x->owned = false;
  if (x->op) {
    ((struct exec_op *)x->op)->exec = NULL;
    x->op = NULL;
  }
  if (x->stage == ARC_STAGE_OVER) {
    free_exec(x);
  } else {
    for (int i = 0; i < 2; i++) {
      if (x->sinks[i].follow) { // read on, keep nothing
        x->sinks[i].follow = false;
        x->sinks[i].capture.max = 0;
        arc_buf_free(&x->sinks[i].queue);
      }
    }
    arc_exec_end(x, arc_err_new(ARC_E_CANCELLED, "nobody waits for it"));
  }
}
