/* SPDX-License-Identifier: MIT */
#include "ssh/login.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ssh/agent.h"
#include "ssh/hostkey.h"
#include "ssh/room.h"
#include "util/err.h"
#include "util/list.h"

enum { NOISE_MAX = 64 * 1024 }; /* bytes a peer may say before its banner */

/* Key exchange decides the price of a login: the cheap ones first. */
static const char KEX[] =
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"
    "ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group16-sha512,"
    "diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";
/* What a user's key may be: libssh's own list, and certificates of
 * sk-ssh-ed25519, which that leaves out. */
static const char LOGIN_TYPES[] =
    "ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,"
    "ecdsa-sha2-nistp521-cert-v01@openssh.com,"
    "ecdsa-sha2-nistp384-cert-v01@openssh.com,"
    "ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,"
    "ssh-ed25519,ecdsa-sha2-nistp521,ecdsa-sha2-nistp384,ecdsa-sha2-nistp256,"
    "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,"
    "rsa-sha2-512,rsa-sha2-256";
static const char CIPHERS_AES[] =
    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
    "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr";
static const char CIPHERS_PLAIN[] =
    "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,"
    "aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr";

struct connect_op {
  struct arc_op op;
  struct arc_session *session;
};

/* ---- options --------------------------------------------------------------
 */

static bool has_aes(void) {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes");
#else
  return true;
#endif
}

/* ~/.ssh/known_hosts, as a list. */
static char **own_known_hosts(void) {
  char path[PATH_MAX];
  const char *home = getenv("HOME");
  if (!home || !*home) {
    const struct passwd *user = getpwuid(geteuid());
    home = user ? user->pw_dir : "";
  }
  const char *list[] = {path, NULL};
  snprintf(path, sizeof path, "%s/.ssh/known_hosts", home);
  return arc_list_copy(list);
}

/* libssh dials nobody and looks nobody up, but refuses aliases that are no
 * host names: those with an underscore, or with a part beyond 63 bytes. */
#define NOBODY "arc"

static bool set_libssh(struct arc_session *s,
                       const struct arc_session_options *opts) {
  const char *ciphers = has_aes() ? CIPHERS_AES : CIPHERS_PLAIN;
  const int off = 0;
  const struct {
    enum ssh_options_e key;
    const void *value;
  } options[] = {
      {SSH_OPTIONS_PROCESS_CONFIG, &off},
      {SSH_OPTIONS_SSH_DIR, "/dev/null"}, // else: a passwd look-up a session
      {SSH_OPTIONS_HOST, NOBODY},
      {SSH_OPTIONS_USER, s->user},
      {SSH_OPTIONS_KNOWNHOSTS, "/dev/null"},
      {SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null"},
      {SSH_OPTIONS_KEY_EXCHANGE, KEX},
      {SSH_OPTIONS_CIPHERS_C_S, ciphers},
      {SSH_OPTIONS_CIPHERS_S_C, ciphers},
      {SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES, LOGIN_TYPES},
      {SSH_OPTIONS_REKEY_DATA, &opts->rekey_bytes},
      {SSH_OPTIONS_REKEY_TIME, &opts->rekey_seconds},
  };
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    if (ssh_options_set(s->ssh, options[i].key, options[i].value) < 0) {
      arc_session_die(s, arc_err_new(ARC_E_CONFIG, "%s", arc_session_text(s)));
      return false;
    }
  }
  return arc_hostkey_prefer(s);
}

static void configure(struct arc_session *s,
                      const struct arc_session_options *opts) {
  s->user = strdup(opts->user);
  s->alias = strdup(opts->alias);
  s->policy = opts->policy;
  s->hash_hosts = opts->hash_hosts;
  s->windows = opts->windows;
  s->keepalive = opts->keepalive;
  s->known = arc_known_hosts_of(s->loop);
  s->known_files =
      opts->known_hosts ? arc_list_copy(opts->known_hosts) : own_known_hosts();
  s->probe = opts->probe;
  bool fine = s->probe || arc_auth_init(&s->auth, opts);
  if (!fine || !s->user || !s->alias || !s->known || !s->known_files) {
    arc_session_die(s, arc_err_new(ARC_E_NOMEM, "out of memory"));
  } else if (!s->probe && arc_auth_empty(&s->auth)) {
    arc_session_die(s, arc_err_reason("ssh.no-identity",
                                      "no key to log in as %s with", s->user));
  } else {
    set_libssh(s, opts);
  }
}

/* ---- steps ----------------------------------------------------------------
 */

/* ` ("…")`: what was said instead of a version line, for messages. */
static const char *said(const struct arc_session *s, char *to, size_t n) {
  const struct arc_greeting *g = &s->pump.greeting;
  snprintf(to, n, g->first_len ? " (it said \"%s\")" : "", g->first);
  return to;
}

static void fail_connect(struct arc_session *s) {
  const char *text = arc_session_text(s);
  bool cut = s->pump.ended && strstr(text, "Socket error");
  char heard[128];
  struct arc_err *err;
  if (strstr(text, "kex error") || strstr(text, "no match for method")) {
    err = arc_session_error(s, "ssh.kex", "%s", text);
  } else if (cut && s->phase == ARC_SSH_BANNER && s->pump.received) {
    err = arc_session_error(s, "ssh.protocol",
                            "what answered closed the connection and had not "
                            "spoken SSH%s",
                            said(s, heard, sizeof heard));
  } else if (cut) {
    err = arc_session_error(s, "ssh.closed",
                            "the server closed the connection during login");
  } else if (strstr(text, "DISCONNECT")) {
    err = arc_session_error(s, "ssh.closed", "%s", text);
  } else {
    err = arc_session_error(s, "ssh.protocol", "%s", text);
  }
  arc_session_die(s, err);
}

/* libssh clears it once, while it believes to be connecting. */
static void keep_nonblocking(struct arc_session *s) {
  int fd = ssh_get_fd(s->ssh);
  int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
  if (flags >= 0 && !(flags & O_NONBLOCK)) {
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  }
}

/* The version line is printable ASCII (RFC 4253, 4.2); not with all. */
static char *printable(const char *line) {
  char *copy = strdup(line);
  for (char *c = copy; c && *c; c++) {
    *c = *c < ' ' || *c > '~' ? '?' : *c;
  }
  return copy;
}

static void note_banner(struct arc_session *s) {
  const char *banner = ssh_get_serverbanner(s->ssh);
  char text[128];
  if (s->phase != ARC_SSH_BANNER) {
    return;
  }
  if (banner) {
    s->banner = printable(banner);
    s->phase = ARC_SSH_KEX;
  } else if (s->pump.received > NOISE_MAX ||
             arc_greeting_endless(&s->pump.greeting)) {
    arc_session_die(s, arc_session_error(s, "ssh.protocol",
                                         "what answered does not speak SSH%s",
                                         said(s, text, sizeof text)));
  }
}

/* The host key is there: on to the login, or, for a probe, the end. */
static void see_host_key(struct arc_session *s) {
  struct arc_err *err = s->probe ? arc_hostkey_look(s) : arc_hostkey_check(s);
  if (err) {
    arc_session_die(s, arc_err_at(err, NULL, "hostkey"));
  } else if (s->probe) {
    s->phase = ARC_SSH_OPEN;
    arc_timer_stop(s->loop, &s->timer);
    arc_login_over(s->connect, NULL);
  } else {
    s->phase = ARC_SSH_AUTH;
  }
}

static void exchange_keys(struct arc_session *s) {
  s->started = true;
  int rc = ssh_connect(s->ssh);
  keep_nonblocking(s);
  if (!s->added && ssh_get_fd(s->ssh) >= 0) {
    s->added = ssh_event_add_session(s->event, s->ssh) == SSH_OK;
  }
  note_banner(s);
  if (s->phase == ARC_SSH_DEAD) {
    return;
  }
  if (rc == SSH_ERROR) {
    fail_connect(s);
  } else if (rc == SSH_OK) {
    see_host_key(s);
  }
}

/* The time of the login stands still until the answer. */
static void put_question(struct arc_session *s) {
  s->left = s->timer.due - arc_loop_now(s->loop);
  arc_timer_stop(s->loop, &s->timer);
  arc_login_over(s->connect, NULL);
}

static void log_in(struct arc_session *s) {
  struct arc_err *err = NULL;
  switch (arc_auth_step(s, &err)) {
  case ARC_AUTH_DONE:
    s->phase = ARC_SSH_OPEN;
    arc_session_hear_issue(s);
    arc_timer_stop(s->loop, &s->timer);
    arc_keepalive_start(s);
    arc_auth_free(s->loop, &s->auth);
    if (s->connect) {
      arc_login_over(s->connect, NULL);
    }
    break;
  case ARC_AUTH_FAILED:
    arc_session_die(s, err);
    break;
  default:
    if (s->auth.question && s->connect) {
      put_question(s);
    }
  }
}

void arc_login_step(struct arc_session *s) {
  if (s->phase < ARC_SSH_AUTH) {
    exchange_keys(s);
  }
  if (s->phase == ARC_SSH_AUTH) {
    log_in(s);
  }
}

/* ---- the operation --------------------------------------------------------
 */

static void too_late(void *arg) {
  struct arc_session *s = arg;
  struct arc_err *err;
  char heard[128];
  if (s->phase == ARC_SSH_BANNER) {
    err = arc_session_error(s, "ssh.no-banner", "no SSH banner came in time%s",
                            said(s, heard, sizeof heard));
  } else if (s->auth.job &&
             (arc_agent_listing(s->auth.job) || arc_agent_away(s->auth.job))) {
    err = arc_err_reason("ssh.agent-failed",
                         "the agent %s did not answer in time", s->auth.agent);
  } else {
    err = arc_err_new(ARC_E_TIMEOUT, "the login took too long");
  }
  arc_session_die(s, err);
}

static void abandon(struct arc_session *s) {
  s->connect = NULL;
  arc_timer_stop(s->loop, &s->timer);
  if (s->auth.job && arc_agent_away(s->auth.job)) {
    arc_agent_hurry(s->auth.job);
  }
  arc_session_unref(s);
}

static void detach(struct arc_op *op) {
  struct connect_op *c = (struct connect_op *)op;
  struct arc_session *s = c->session;
  c->session = NULL;
  if (s) {
    s->connect = NULL;
    arc_session_die(s, arc_err_new(ARC_E_CANCELLED, "cancelled"));
    abandon(s);
  }
}

static void destroy(struct arc_op *op) {
  struct connect_op *c = (struct connect_op *)op;
  if (c->session) {
    abandon(c->session);
  }
  free(c);
}

void arc_login_over(struct arc_op *op, struct arc_err *err) {
  struct connect_op *c = (struct connect_op *)op;
  struct arc_session *s = c->session;
  s->connect = NULL;
  if (err) {
    c->session = NULL;
    abandon(s);
  }
  arc_op_finish(op, err);
}

static const struct arc_op_class CONNECT = {
    .name = "ssh.connect", .detach = detach, .destroy = destroy};

/* c has one reference of s, and waits for what s does next. */
static struct arc_op *await_login(struct connect_op *c, struct arc_session *s,
                                  int64_t deadline) {
  if (s->phase == ARC_SSH_DEAD) {
    arc_op_finish(&c->op, arc_err_ref(s->err));
    arc_session_unref(s);
    return &c->op;
  }
  c->session = s;
  s->connect = &c->op;
  arc_timer_start(s->loop, &s->timer, deadline, too_late, s);
  arc_session_wake(s);
  return &c->op;
}

struct arc_op *arc_session_connect(struct arc_loop *loop,
                                   struct arc_stream *stream,
                                   const struct arc_session_options *opts) {
  struct connect_op *c = arc_op_new(loop, &CONNECT, sizeof *c, ARC_FOREVER);
  struct arc_session *s = c ? arc_session_new(loop, stream) : NULL;
  if (!s) {
    if (c) {
      arc_op_free(&c->op);
    } else {
      arc_stream_close(stream);
    }
    return NULL;
  }
  if (s->phase != ARC_SSH_DEAD) {
    configure(s, opts);
  }
  return await_login(c, s, arc_loop_deadline(loop, opts->timeout));
}

const struct arc_question *arc_session_question(const struct arc_session *s) {
  return s->phase < ARC_SSH_OPEN || s->phase == ARC_SSH_DEAD ? s->auth.question
                                                             : NULL;
}

struct arc_op *arc_session_answer(struct arc_session *s,
                                  struct arc_secret *answer) {
  struct connect_op *c = arc_op_new(s->loop, &CONNECT, sizeof *c, ARC_FOREVER);
  if (!c) {
    arc_session_close(s);
    return NULL;
  }
  s->handle = false;
  s->auth.answer = answer ? arc_secret_ref(answer) : NULL;
  s->auth.has_answer = true;
  int64_t left = s->left > 0 ? s->left : 0;
  return await_login(c, s, arc_loop_now(s->loop) + left);
}

struct arc_session *arc_session_take(struct arc_op *op) {
  struct connect_op *c = (struct connect_op *)op;
  struct arc_session *s = c->session;
  c->session = NULL;
  s->handle = true;
  return s;
}
