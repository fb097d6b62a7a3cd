/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "ssh/exec_room.h"
#include "util/err.h"

/* Milliseconds of real time from the start. */
enum { ANNOUNCE = 2000, KILL_AFTER = 1500, LAST = 5000, POLITE = 300 };

static int64_t real_ms(void) { return (int64_t)(uv_hrtime() / 1000000); }

static void wake(void *arg) {
  struct arc_exec *x = arg;
  if (x->session) {
    arc_session_wake(x->session);
  }
}

/* A timer on real time: the loop's clock may run faster. */
static void wake_at(struct arc_exec *x, int64_t ms) {
  int64_t left = x->linger.start + ms - real_ms();
  double scaled = (double)(left > 0 ? left : 0) * arc_loop_scale(x->loop);
  arc_timer_start(x->loop, &x->linger.timer,
                  arc_loop_now(x->loop) + (int64_t)scaled + 1, wake, x);
}

static bool past(const struct arc_exec *x, int64_t ms) {
  return real_ms() - x->linger.start >= ms;
}

void arc_linger_start(struct arc_exec *x) {
  if (x->linger.on) {
    return;
  }
  x->linger.on = true;
  x->linger.status = -1;
  x->linger.start = real_ms();
  arc_loop_count(x->loop, ARC_N_LINGERS, 1);
  arc_stdin_stop(x);
  wake(x);
}

/* ---- a guarded command: a second channel ends its session -----------------
 */

static void ender_status(ssh_session ssh, ssh_channel channel, int status,
                         void *arg) {
  (void)ssh, (void)channel;
  struct arc_exec *x = arg;
  x->linger.status = status;
}

static void ender_closed(ssh_session ssh, ssh_channel channel, void *arg) {
  (void)ssh, (void)channel;
  struct arc_exec *x = arg;
  x->linger.closed = true;
}

static void open_ender(struct arc_exec *x) {
  struct arc_linger *l = &x->linger;
  l->command = arc_guard_ender(&x->guard);
  l->channel = l->command ? ssh_channel_new(x->session->ssh) : NULL;
  if (!l->channel) {
    l->closed = true;
    return;
  }
  l->callbacks.userdata = x;
  l->callbacks.channel_exit_status_function = ender_status;
  l->callbacks.channel_close_function = ender_closed;
  ssh_callbacks_init(&l->callbacks);
  ssh_set_channel_callbacks(l->channel, &l->callbacks);
}

static void run_ender(struct arc_exec *x) {
  struct arc_linger *l = &x->linger;
  if (!l->channel && !l->closed) {
    open_ender(x);
  }
  int rc = SSH_OK;
  if (!l->closed && !l->opened) {
    if (!l->asked) {
      l->asked = true;
      arc_session_number(x->session);
    }
    rc = ssh_channel_open_session(l->channel);
    l->opened = rc == SSH_OK;
  }
  if (l->opened && !l->sent && !l->closed) {
    rc = ssh_channel_request_exec(l->channel, l->command);
    if (rc == SSH_OK) {
      l->sent = true;
      ssh_channel_send_eof(l->channel);
    }
  }
  if (rc == SSH_ERROR) {
    l->closed = true;
  }
}

/* Which way there is: the second channel, none yet, or signals. */
enum way { WAY_ENDER, WAY_WAIT, WAY_SIGNALS };

static enum way find_way(const struct arc_exec *x) {
  const struct arc_linger *l = &x->linger;
  if (!x->guarded || (x->guard.heard && !x->guard.id) ||
      (l->closed && l->status < 0)) {
    return WAY_SIGNALS;
  }
  if (x->guard.heard) {
    return WAY_ENDER;
  }
  return past(x, ANNOUNCE) ? WAY_SIGNALS : WAY_WAIT;
}

/* ---- others: SSH signals --------------------------------------------------
 */

static void send_signals(struct arc_exec *x) {
  struct arc_linger *l = &x->linger;
  if (x->stage != ARC_STAGE_RUN || x->closed) {
    return;
  }
  if (!l->term) {
    l->term = true;
    ssh_channel_request_send_signal(x->channel, "TERM");
  }
  if (!l->kill && past(x, KILL_AFTER)) {
    l->kill = true;
    ssh_channel_request_send_signal(x->channel, "KILL");
  }
}

/* ---- the verdict ----------------------------------------------------------
 */

static bool has_ended(const struct arc_exec *x) {
  return x->closed || x->has_status || x->signal[0];
}

static bool verdict(struct arc_exec *x, bool confirmed) {
  x->confirmed = confirmed;
  return true;
}

static bool step_ender(struct arc_exec *x) {
  struct arc_linger *l = &x->linger;
  run_ender(x);
  if (l->status > 0) {
    return verdict(x, false);
  }
  if (l->status == 0 && !l->sure) {
    l->sure = true; // its own exit record is a moment behind
    l->start = real_ms();
  }
  if (l->sure && (has_ended(x) || past(x, POLITE))) {
    return verdict(x, true);
  }
  return false;
}

bool arc_linger_step(struct arc_exec *x) {
  struct arc_linger *l = &x->linger;
  enum way way = find_way(x);
  if (way == WAY_ENDER) {
    if (step_ender(x)) {
      return true;
    }
  } else {
    if (way == WAY_SIGNALS) {
      send_signals(x);
    }
    if (has_ended(x)) {
      return verdict(x, true);
    }
  }
  if (past(x, LAST)) {
    return verdict(x, l->sure);
  }
  wake_at(x, l->sure                          ? POLITE
             : way == WAY_WAIT                ? ANNOUNCE
             : way == WAY_SIGNALS && !l->kill ? KILL_AFTER
                                              : LAST);
  return false;
}

void arc_linger_end(struct arc_exec *x) {
  struct arc_linger *l = &x->linger;
  if (!l->on) {
    return;
  }
  l->on = false;
  arc_timer_stop(x->loop, &l->timer);
  arc_loop_count(x->loop, ARC_N_LINGERS, -1);
  if (l->channel) {
    ssh_remove_channel_callbacks(l->channel, &l->callbacks);
    arc_channel_drop(x->session, l->channel,
                     l->opened                ? ARC_CHANNEL_OPEN
                     : l->asked && !l->closed ? ARC_CHANNEL_ASKED
                                              : ARC_CHANNEL_NONE);
    l->channel = NULL;
  }
  free(l->command);
  l->command = NULL;
}
