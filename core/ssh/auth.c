/* SPDX-License-Identifier: MIT */
#include "ssh/auth.h"

#include <stdlib.h>
#include <string.h>

#include "ssh/agent.h"
#include "ssh/keys.h"
#include "ssh/room.h"
#include "util/buf.h"
#include "util/err.h"

void arc_auth_free(struct arc_auth *auth) {
  for (char **path = auth->identities; path && *path; path++) {
    free(*path);
  }
  free(auth->identities);
  auth->identities = NULL;
  free(auth->agent);
  auth->agent = NULL;
  arc_secret_unref(auth->passphrase);
  auth->passphrase = NULL;
  arc_err_unref(auth->skip);
  auth->skip = NULL;
  if (auth->job) {
    arc_agent_free(auth->job);
    auth->job = NULL;
  }
}

/* What the server would take instead, for the message. */
static const char *accepted(struct arc_session *s, struct arc_buf *list) {
  const struct {
    int bit;
    const char *name;
  } methods[] = {{SSH_AUTH_METHOD_PUBLICKEY, "publickey"},
                 {SSH_AUTH_METHOD_PASSWORD, "password"},
                 {SSH_AUTH_METHOD_INTERACTIVE, "keyboard-interactive"},
                 {SSH_AUTH_METHOD_HOSTBASED, "hostbased"},
                 {SSH_AUTH_METHOD_GSSAPI_MIC, "gssapi-with-mic"}};
  int bits = ssh_userauth_list(s->ssh, NULL);
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    if (bits & methods[i].bit) {
      arc_buf_format(list, "%s%s", arc_buf_len(list) ? ", " : "",
                     methods[i].name);
    }
  }
  return arc_buf_append(list, "", 1) ? (const char *)arc_buf_head(list) : "";
}

static struct arc_err *refused(struct arc_session *s) {
  struct arc_buf list = {0};
  struct arc_err *err =
      arc_session_error(s, "ssh.auth-refused",
                        "every key was refused for user %s (sshd accepts: "
                        "%s)",
                        s->user, accepted(s, &list));
  if (s->auth.skip && !err->cause) {
    err->cause = arc_err_ref(s->auth.skip);
  }
  arc_buf_free(&list);
  return err;
}

/* No key is left. */
static int give_up(struct arc_session *s, struct arc_err **err) {
  struct arc_auth *auth = &s->auth;
  if (ssh_userauth_list(s->ssh, NULL)) {
    *err = refused(s);
  } else if (auth->skip) {
    *err = arc_err_ref(auth->skip);
  } else {
    *err = arc_err_reason("ssh.no-identity",
                          "no key to log in as %s with: the agent holds "
                          "none",
                          s->user);
  }
  return ARC_AUTH_FAILED;
}

/* The server ended the login: too many keys tried, or the network. */
static int broken(struct arc_session *s, struct arc_err **err) {
  const char *text = arc_session_text(s);
  if (strstr(text, "Too many authentication failures")) {
    *err = arc_err_reason("ssh.auth-refused",
                          "user %s was refused: too many keys tried", s->user);
  } else {
    *err = arc_session_error(s, "ssh.closed",
                             "the connection ended during login (%s)", text);
  }
  return ARC_AUTH_FAILED;
}

static void skip(struct arc_auth *auth, struct arc_err *err) {
  if (auth->skip) {
    arc_err_unref(err);
  } else {
    auth->skip = err;
  }
}

/* The key of the identity in turn, with its certificate first. NULL: it cannot
 * be used. */
static ssh_key key_in_turn(struct arc_session *s, bool *certified) {
  struct arc_auth *auth = &s->auth;
  struct arc_err *err = NULL;
  bool locked = false;
  const struct arc_key *key = arc_keys_load(
      s->loop, auth->identities[auth->next], auth->passphrase, &locked, &err);
  if (!key) {
    skip(auth, err);
    return NULL;
  }
  *certified = key->certified && !auth->plain;
  return *certified ? key->certified : key->plain;
}

static void next_key(struct arc_auth *auth, bool certified) {
  if (certified) {
    auth->plain = true;
  } else {
    auth->plain = false;
    auth->next++;
  }
}

static int partial(struct arc_session *s, struct arc_err **err) {
  struct arc_buf list = {0};
  *err = arc_err_reason("ssh.auth-refused",
                        "the key of user %s was accepted, but sshd wants "
                        "more: %s",
                        s->user, accepted(s, &list));
  arc_buf_free(&list);
  return ARC_AUTH_FAILED;
}

/* ARC_AUTH_FAILED without *err: every file was tried. */
static int try_files(struct arc_session *s, struct arc_err **err) {
  struct arc_auth *auth = &s->auth;
  while (auth->next < auth->count) {
    bool certified = false;
    ssh_key key = key_in_turn(s, &certified);
    if (!key) {
      next_key(auth, false);
      continue;
    }
    switch (ssh_userauth_publickey(s->ssh, NULL, key)) {
    case SSH_AUTH_SUCCESS:
      return ARC_AUTH_DONE;
    case SSH_AUTH_AGAIN:
      return ARC_AUTH_AGAIN;
    case SSH_AUTH_DENIED:
      next_key(auth, certified);
      break;
    case SSH_AUTH_PARTIAL:
      return partial(s, err);
    default:
      return broken(s, err);
    }
  }
  return ARC_AUTH_FAILED;
}

static void agent_answered(void *arg) {
  struct arc_session *s = arg;
  s->auth.answered = true;
  arc_session_wake(s);
}

static int agent_result(struct arc_session *s, struct arc_err **err) {
  struct arc_auth *auth = &s->auth;
  switch (arc_agent_result(auth->job)) {
  case SSH_AUTH_SUCCESS:
    return ARC_AUTH_DONE;
  case SSH_AUTH_AGAIN:
    return ARC_AUTH_AGAIN;
  case SSH_AUTH_DENIED:
    return give_up(s, err);
  case SSH_AUTH_PARTIAL:
    return partial(s, err);
  default:
    if (!arc_session_ended(s)) {
      *err = arc_err_reason("ssh.agent-failed",
                            "the agent %s did not sign for user %s",
                            auth->agent, s->user);
      return ARC_AUTH_FAILED;
    }
    return broken(s, err);
  }
}

static int try_agent(struct arc_session *s, struct arc_err **err) {
  struct arc_auth *auth = &s->auth;
  if (auth->job && auth->answered) {
    auth->answered = false;
    int rc = agent_result(s, err);
    if (rc != ARC_AUTH_AGAIN) {
      return rc;
    }
  }
  if (auth->job) {
    if (s->moved) { // else the thread would only find nothing new
      arc_agent_call(auth->job);
    }
    return ARC_AUTH_AGAIN;
  }
  if (!auth->use_agent) {
    return give_up(s, err);
  }
  auth->use_agent = false;
  struct arc_err *why = NULL;
  auth->job =
      arc_agent_open(s->loop, s->ssh, auth->agent, agent_answered, s, &why);
  if (!auth->job) {
    skip(auth, why);
    return give_up(s, err);
  }
  arc_agent_call(auth->job);
  return ARC_AUTH_AGAIN;
}

int arc_auth_step(struct arc_session *s, struct arc_err **err) {
  int rc = try_files(s, err);
  if (rc == ARC_AUTH_FAILED && !*err) {
    rc = try_agent(s, err);
  }
  bool away = s->auth.job && arc_agent_away(s->auth.job);
  if (rc == ARC_AUTH_AGAIN && !away && arc_session_ended(s)) {
    rc = broken(s, err); // libssh would wait for ever
  }
  return rc;
}
