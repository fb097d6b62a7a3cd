/* SPDX-License-Identifier: MIT */
#include "ssh/channel.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/channel_room.h"
#include "util/err.h"

enum { CHUNK = 32 * 1024 };

static struct arc_channel *self(struct arc_stream *s) {
  return (struct arc_channel *)s;
}

static struct arc_channel *of_member(struct arc_member *member) {
  return (struct arc_channel *)((char *)member -
                                offsetof(struct arc_channel, member));
}

/* ---- what libssh tells: only noted ----------------------------------------
 */

static int note_data(ssh_session ssh, ssh_channel channel, void *data,
                     uint32_t n, int is_stderr, void *arg) {
  (void)ssh, (void)channel;
  struct arc_channel *c = arg;
  if (is_stderr) {
    return (int)n; // a forwarded connection has none
  }
  size_t have = arc_buf_len(&c->in);
  size_t room = have < ARC_STREAM_BUFFER ? ARC_STREAM_BUFFER - have : 0;
  uint32_t part = n < room ? n : (uint32_t)room;
  if (part && !arc_buf_append(&c->in, data, part)) {
    part = 0;
  }
  c->backlog = part < n;
  return (int)part;
}

static void note_end(ssh_session ssh, ssh_channel channel, void *arg) {
  (void)ssh, (void)channel;
  struct arc_channel *c = arg;
  c->ended = true;
}

static void note_close(ssh_session ssh, ssh_channel channel, void *arg) {
  (void)ssh, (void)channel;
  struct arc_channel *c = arg;
  c->ended = c->closed = true;
}

/* What libssh holds is taken whole: see arc_sinks_drain. False without memory:
 * nothing would say when to try again. */
static bool take_backlog(struct arc_channel *c) {
  int n = 1;
  while (c->backlog && n > 0) {
    uint8_t *room = arc_buf_reserve(&c->in, CHUNK);
    if (!room) {
      return false;
    }
    n = ssh_channel_read_nonblocking(c->ssh, room, CHUNK, 0);
    if (n > 0) {
      arc_buf_commit(&c->in, (size_t)n);
    } else {
      c->backlog = n != 0 && n != SSH_EOF;
    }
  }
  return true;
}

/* ---- ending ----------------------------------------------------------------
 */

/* Gives the channel back; the session may go with it. */
static void leave(struct arc_channel *c) {
  struct arc_session *session = c->session;
  if (!session) {
    return;
  }
  bool stands = !c->opening || c->opening->stands;
  enum arc_channel_state state = stands              ? ARC_CHANNEL_OPEN
                                 : c->opening->asked ? ARC_CHANNEL_ASKED
                                                     : ARC_CHANNEL_NONE;
  ssh_remove_channel_callbacks(c->ssh, &c->callbacks);
  arc_channel_drop(session, c->ssh, state);
  c->ssh = NULL;
  c->session = NULL;
  if (c->backlog) { // what is lost is no end
    c->ended = c->backlog = false;
  }
  arc_session_wake(session);
  arc_session_leave(session, &c->member);
}

/* Ends it with err, which is taken over. */
static void lose(struct arc_channel *c, struct arc_err *err) {
  struct arc_opening *opening = c->opening;
  leave(c);
  if (opening) {
    opening->over(opening, err);
  } else {
    arc_stream_fail(&c->base, err);
  }
}

static void session_closed(struct arc_member *member) {
  lose(of_member(member), arc_err_new(ARC_E_CLOSED, "the session was closed"));
}

/* ---- running ---------------------------------------------------------------
 */

static bool may_read(const struct arc_channel *c) {
  return arc_buf_len(&c->in) || c->base.err || (c->ended && !c->backlog);
}

static bool may_write(const struct arc_channel *c) {
  return c->base.err || c->closed || c->shut || !c->session ||
         arc_session_may_write(c->session, c->ssh);
}

static void wake(struct arc_channel *c) {
  if (c->wants_read && may_read(c)) {
    c->wants_read = false;
    arc_stream_readable(&c->base);
  }
  if (c->wants_write && may_write(c)) {
    c->wants_write = false;
    arc_stream_writable(&c->base);
  }
}

/* False while it is not open; the channel may then have gone. */
static bool get_open(struct arc_channel *c) {
  struct arc_opening *opening = c->opening;
  if (!opening) {
    return true;
  }
  if (!opening->asked) {
    opening->asked = true;
    opening->number = arc_session_number(c->session);
  }
  int rc = opening->ask(opening, c->ssh);
  if (rc == SSH_OK) {
    c->opening = NULL;
    opening->over(opening, NULL);
    return true;
  }
  if (rc != SSH_AGAIN && arc_session_ended(c->session)) {
    arc_session_wake(c->session); // it will find out and say so
  } else if (rc != SSH_AGAIN) {
    opening->asked = false; // it was answered
    lose(c, arc_channel_refusal(c));
  }
  return false;
}

static void step(struct arc_member *member) {
  struct arc_channel *c = of_member(member);
  struct arc_session *s = c->session;
  if (s->phase == ARC_SSH_DEAD) {
    take_backlog(c);
    lose(c, arc_err_ref(s->err));
    return;
  }
  if (!get_open(c)) {
    return;
  }
  if (!arc_buf_len(&c->in) && !take_backlog(c)) {
    lose(c, arc_err_new(ARC_E_NOMEM, "out of memory"));
    return;
  }
  wake(c);
}

/* ---- the stream -------------------------------------------------------------
 */

static ssize_t stream_read(struct arc_stream *s, void *to, size_t n) {
  struct arc_channel *c = self(s);
  size_t got = arc_buf_take(&c->in, to, n);
  if (got) {
    if (!arc_buf_len(&c->in)) {
      arc_buf_free(&c->in);
    }
    if (c->backlog && !arc_buf_len(&c->in)) {
      arc_session_wake(c->session);
    }
    return (ssize_t)got;
  }
  if (c->ended && !c->backlog) {
    return 0;
  }
  return s->err ? ARC_FAILED : ARC_AGAIN;
}

static ssize_t stream_write(struct arc_stream *s, const void *from, size_t n) {
  struct arc_channel *c = self(s);
  if (s->err) {
    return ARC_FAILED;
  }
  if (c->shut || c->closed || !c->session) {
    return arc_stream_fail(s, arc_err_new(ARC_E_CLOSED,
                                          c->shut
                                              ? "write to %s after its shutdown"
                                              : "%s was closed by the server",
                                          s->name));
  }
  int sent = arc_session_write(c->session, c->ssh, from, n);
  if (!sent) {
    return ARC_AGAIN;
  }
  arc_session_wake(c->session);
  if (sent < 0 && !arc_session_ended(c->session)) {
    return arc_stream_fail(s, arc_session_error(c->session, "ssh.protocol",
                                                "write to %s: %s", s->name,
                                                arc_session_text(c->session)));
  }
  return sent > 0 ? sent : ARC_AGAIN;
}

static void stream_want_read(struct arc_stream *s) {
  struct arc_channel *c = self(s);
  c->wants_read = true;
  wake(c);
}

static void stream_want_write(struct arc_stream *s) {
  struct arc_channel *c = self(s);
  c->wants_write = true;
  wake(c);
}

static void stream_shutdown(struct arc_stream *s) {
  struct arc_channel *c = self(s);
  if (!c->shut) {
    c->shut = true;
    if (c->session) {
      ssh_channel_send_eof(c->ssh);
      arc_session_wake(c->session);
    }
    wake(c);
  }
}

void arc_channel_free(struct arc_channel *c) {
  leave(c);
  arc_buf_free(&c->in);
  arc_stream_fini(&c->base);
  free(c);
}

static void stream_close(struct arc_stream *s) { arc_channel_free(self(s)); }

/* SSH knows no reset: the server sees the channel closed. */
static void stream_abort(struct arc_stream *s, struct arc_err *why) {
  (void)why;
  arc_channel_free(self(s));
}

static const struct arc_stream_class channel_class = {
    .kind = "channel",
    .read = stream_read,
    .write = stream_write,
    .want_read = stream_want_read,
    .want_write = stream_want_write,
    .shutdown = stream_shutdown,
    .close = stream_close,
    .abort = stream_abort,
};

/* ---- making one
 * --------------------------------------------------------------
 */

static struct arc_channel *make(struct arc_session *session, ssh_channel ssh,
                                struct arc_opening *opening, const char *name) {
  struct arc_channel *c = calloc(1, sizeof *c);
  if (!c) {
    return NULL;
  }
  arc_stream_init(&c->base, session->loop, &channel_class, name);
  c->session = session;
  c->ssh = ssh;
  c->opening = opening;
  c->callbacks.userdata = c;
  c->callbacks.channel_data_function = note_data;
  c->callbacks.channel_eof_function = note_end;
  c->callbacks.channel_close_function = note_close;
  ssh_callbacks_init(&c->callbacks);
  ssh_set_channel_callbacks(ssh, &c->callbacks);
  c->member.step = step;
  c->member.closed = session_closed;
  c->member.keeps = true;
  arc_session_join(session, &c->member);
  return c;
}

struct arc_channel *arc_channel_new(struct arc_session *session,
                                    struct arc_opening *opening,
                                    const char *name) {
  ssh_channel ssh = ssh_channel_new(session->ssh);
  struct arc_channel *c = ssh ? make(session, ssh, opening, name) : NULL;
  if (ssh && !c) {
    ssh_channel_free(ssh);
  }
  return c;
}

struct arc_channel *arc_channel_accept(struct arc_session *session,
                                       ssh_message message, const char *name) {
  ssh_channel ssh = ssh_message_channel_request_open_reply_accept(message);
  if (!ssh) {
    return NULL;
  }
  arc_session_number(session);
  struct arc_channel *c = make(session, ssh, NULL, name);
  if (!c) {
    arc_channel_drop(session, ssh, ARC_CHANNEL_OPEN);
  }
  return c;
}

/* Takes `word` and the number behind it off *text. */
static bool take_number(const char **text, const char *word,
                        unsigned long *number) {
  size_t n = strlen(word);
  if (strncmp(*text, word, n) != 0 || !isdigit((unsigned char)(*text)[n])) {
    return false;
  }
  char *end;
  *number = strtoul(*text + n, &end, 10);
  *text = end;
  return true;
}

/* libssh keeps one text a session. It is this channel's only when it bears
 * its number: several may be refused at once. */
struct arc_err *arc_channel_refusal(struct arc_channel *c) {
  static const char *const reasons[] = {
      "ssh.channel-refused", "ssh.forward-denied", "ssh.forward-failed",
      "ssh.forward-unknown", "ssh.channel-limit"};
  const char *text = arc_session_text(c->session);
  unsigned long number, code;
  if (c->opening->stands) {
    return arc_err_reason("ssh.no-subsystem",
                          "the SSH server has no subsystem '%s'", c->base.name);
  }
  if (!take_number(&text, "Channel opening failure: channel ", &number) ||
      !take_number(&text, " error (", &code) || number != c->opening->number) {
    return arc_err_reason("ssh.channel-refused", "%s was refused",
                          c->base.name);
  }
  text += *text == ')';
  text += strspn(text, " ");
  code = code < sizeof reasons / sizeof *reasons ? code : 0;
  return arc_err_reason(reasons[code], "%s: %s", c->base.name,
                        *text ? text : "refused");
}
