/* SPDX-License-Identifier: MIT */
#include "ssh/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ssh/agent.h"
#include "ssh/login.h"
#include "ssh/room.h"
#include "util/err.h"
#include "util/list.h"

enum {
  TURNS = 16, /* rounds of a step before others have their turn */
  READS = 16  /* 4 KB reads of libssh in a round */
};

/* ---- ending -------------------------------------------------------------- */

/* libssh closes the descriptor itself on most errors; after an orderly end
 * it only forgets it. */
static void free_libssh(struct arc_session *s, bool orderly) {
  if (s->event) {
    if (s->added) {
      ssh_event_remove_session(s->event, s->ssh);
    }
    ssh_event_free(s->event);
    s->event = NULL;
  }
  int fd = s->started ? ssh_get_fd(s->ssh) : -1;
  if (!s->started) {
    close(s->lib_fd);
  } else if (fd >= 0 && orderly) {
    ssh_disconnect(s->ssh);
    while (arc_pump_run(&s->pump)) {
    }
    close(fd);
  }
  ssh_free(s->ssh);
  s->ssh = NULL;
}

static void destroy(struct arc_session *s) {
  bool orderly = s->phase == ARC_SSH_OPEN;
  struct arc_err *why = orderly ? NULL : s->err;
  arc_ready_cancel(s->loop, &s->ready);
  arc_timer_stop(s->loop, &s->timer);
  if (s->ssh) {
    free_libssh(s, orderly);
  } else if (s->lib_fd >= 0) {
    close(s->lib_fd);
  }
  arc_pump_close(&s->pump, why);
  arc_auth_free(s->loop, &s->auth);
  arc_incoming_free(s);
  arc_list_free(s->known_files);
  free(s->user);
  free(s->alias);
  free(s->banner);
  free(s->issue);
  free(s->new_key);
  free(s->shown_type);
  free(s->shown_print);
  arc_err_unref(s->err);
  free(s);
}

static bool away(const struct arc_session *s) {
  return s->auth.job && arc_agent_away(s->auth.job);
}

void arc_session_ref(struct arc_session *s) { s->refs++; }

static void maybe_destroy(struct arc_session *s) {
  if (!s->refs && !s->stepping && !away(s)) {
    destroy(s);
  }
}

void arc_session_unref(struct arc_session *s) {
  s->refs--;
  maybe_destroy(s);
}

void arc_session_wake(struct arc_session *s) {
  arc_ready_post(s->loop, &s->ready);
}

static void end_handle(struct arc_session *s, bool all) {
  s->handle = false;
  s->stepping++;
  for (struct arc_member *m = s->members, *next; m; m = next) {
    next = m->next;
    if (all || !m->keeps) {
      m->closed(m);
    }
  }
  s->stepping--;
  arc_session_unref(s);
}

void arc_session_close(struct arc_session *s) { end_handle(s, true); }

void arc_session_forget(struct arc_session *s) { end_handle(s, false); }

/* libssh counts the channels of a session from here (0.8 to 0.11). */
enum { FIRST_CHANNEL = 43 };

uint32_t arc_session_number(struct arc_session *s) {
  return FIRST_CHANNEL + s->channels++;
}

void arc_session_join(struct arc_session *s, struct arc_member *member) {
  member->prev = NULL;
  member->next = s->members;
  if (s->members) {
    s->members->prev = member;
  }
  s->members = member;
  arc_session_ref(s);
}

void arc_session_leave(struct arc_session *s, struct arc_member *member) {
  if (member->next) {
    member->next->prev = member->prev;
  }
  if (member->prev) {
    member->prev->next = member->next;
  } else {
    s->members = member->next;
  }
  arc_session_unref(s);
}

/* ---- errors ---------------------------------------------------------------
 */

const char *arc_session_text(struct arc_session *s) {
  const char *text = s->ssh ? ssh_get_error(s->ssh) : NULL;
  return text && *text ? text : "no reason given";
}

struct arc_err *arc_session_error(struct arc_session *s, const char *reason,
                                  const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  struct arc_err *cause = s->pump.err;
  struct arc_err *err =
      cause ? arc_err_reason(reason, "%s: %s", text, cause->message)
            : arc_err_reason(reason, "%s", text);
  arc_err_because(err, cause);
  return err;
}

void arc_session_die(struct arc_session *s, struct arc_err *err) {
  if (s->phase == ARC_SSH_DEAD) {
    arc_err_unref(err);
    return;
  }
  static const char *const phases[] = {"banner", "kex", "auth", "open"};
  s->err = arc_err_at(err, NULL, phases[s->phase]);
  s->phase = ARC_SSH_DEAD;
  arc_timer_stop(s->loop, &s->timer);
  if (s->connect) {
    arc_login_over(s->connect, arc_err_ref(s->err));
  }
}

/* ---- running --------------------------------------------------------------
 */

bool arc_session_ended(const struct arc_session *s) {
  return ssh_get_fd(s->ssh) < 0 || !ssh_is_connected(s->ssh) ||
         ssh_get_status(s->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR);
}

/* One round of libssh: what it can read, what it can write. */
static bool turn_libssh(struct arc_session *s) {
  bool moved = false;
  for (int i = 0; s->added && i < READS; i++) {
    if (arc_session_ended(s) || // its first error is the one to tell
        ssh_event_dopoll(s->event, 0) == SSH_AGAIN) {
      break;
    }
    moved = true;
  }
  return moved;
}

static void step_members(struct arc_session *s) {
  for (struct arc_member *m = s->members, *next; m; m = next) {
    next = m->next;
    m->step(m);
  }
}

static void check_alive(struct arc_session *s) {
  if (arc_session_ended(s)) {
    arc_session_die(s, arc_session_error(s, "ssh.closed",
                                         "the connection ended (%s)",
                                         arc_session_text(s)));
  }
}

/* What follows from what has arrived. */
static void advance(struct arc_session *s) {
  if (s->phase < ARC_SSH_OPEN) {
    arc_login_step(s);
  } else if (s->phase == ARC_SSH_OPEN) {
    check_alive(s);
  }
  if (s->phase >= ARC_SSH_OPEN) {
    step_members(s);
  }
}

static bool run_round(struct arc_session *s) {
  bool moved = arc_pump_run(&s->pump);
  if (away(s)) {
    return moved;
  }
  if (s->phase != ARC_SSH_DEAD) {
    moved |= turn_libssh(s);
  }
  s->moved = moved;
  advance(s);
  return arc_pump_run(&s->pump) || moved;
}

static void step(void *arg) {
  struct arc_session *s = arg;
  s->stepping++;
  int turns = TURNS;
  while (run_round(s) && s->phase != ARC_SSH_DEAD && --turns) {
  }
  s->stepping--;
  if (!turns) {
    arc_session_wake(s);
  } else if (s->phase != ARC_SSH_DEAD) {
    arc_pump_arm(&s->pump, step, s);
  }
  maybe_destroy(s);
}

struct arc_session *arc_session_new(struct arc_loop *loop,
                                    struct arc_stream *stream) {
  struct arc_session *s = calloc(1, sizeof *s);
  int fd = -1;
  if (!s) {
    arc_stream_close(stream);
    return NULL;
  }
  s->loop = loop;
  s->refs = 1;
  arc_ready_init(&s->ready, step, s);
  int rc = arc_pump_open(&s->pump, stream, &fd);
  s->ssh = rc ? NULL : ssh_new();
  s->event = s->ssh ? ssh_event_new() : NULL;
  s->lib_fd = fd;
  if (!s->event) {
    s->err = rc ? arc_err_errno(rc, "open a socket pair")
                : arc_err_new(ARC_E_NOMEM, "out of memory");
    s->phase = ARC_SSH_DEAD;
    return s;
  }
  ssh_options_set(s->ssh, SSH_OPTIONS_FD, &fd);
  ssh_set_blocking(s->ssh, 0);
  ssh_set_counters(s->ssh, NULL, &s->flow.sent);
  arc_incoming_start(s);
  return s;
}

const char *arc_session_banner(const struct arc_session *s) {
  return s->banner ? s->banner : "";
}

const char *arc_session_hear_issue(struct arc_session *s) {
  char *text = s->ssh ? ssh_get_issue_banner(s->ssh) : NULL;
  if (text && !s->issue) {
    struct arc_err *err = arc_err_new(ARC_E_UNKNOWN, "%s", text);
    s->issue = strdup(err->message);
    arc_err_unref(err);
  }
  ssh_string_free_char(text);
  return s->issue;
}

const char *arc_session_issue(const struct arc_session *s) { return s->issue; }
