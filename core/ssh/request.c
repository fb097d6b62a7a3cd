/* SPDX-License-Identifier: MIT */
#include "ssh/exec_room.h"

/* The environment, one request after the other; servers may refuse them. */
static int ask_env(struct arc_exec *x) {
  while (x->env && x->env[x->env_at]) {
    int rc = ssh_channel_request_env(x->channel, x->env[x->env_at],
                                     x->env[x->env_at + 1]);
    if (rc == SSH_AGAIN) {
      return SSH_AGAIN;
    }
    x->env_at += 2;
  }
  return SSH_OK;
}

static int ask_terminal(struct arc_exec *x) {
  int rc = SSH_OK;
  if (x->pty) {
    rc = ssh_channel_request_pty_size(x->channel, x->term, x->cols, x->rows);
  }
  if (rc == SSH_ERROR && x->lenient && !arc_session_ended(x->session)) {
    x->pty = false;
    rc = SSH_OK;
  }
  return rc;
}

static int start(struct arc_exec *x) {
  if (!x->sent) {
    x->sent = true;
    x->began = arc_loop_now(x->loop);
  }
  switch (x->kind) {
  case ARC_EXEC_SHELL:
    return ssh_channel_request_shell(x->channel);
  case ARC_EXEC_SUBSYSTEM:
    return ssh_channel_request_subsystem(x->channel, x->command);
  default:
    return ssh_channel_request_exec(x->channel, x->command);
  }
}

int arc_exec_request(struct arc_exec *x) {
  switch (x->stage) {
  case ARC_STAGE_OPEN:
    if (!x->asked) {
      x->asked = true;
      arc_session_number(x->session);
    }
    return ssh_channel_open_session(x->channel);
  case ARC_STAGE_PTY:
    return ask_terminal(x);
  case ARC_STAGE_ENV:
    return ask_env(x);
  case ARC_STAGE_AGENT: // says it without asking for a reply
    return x->agent ? ssh_channel_request_auth_agent(x->channel) : SSH_OK;
  default:
    return start(x);
  }
}
