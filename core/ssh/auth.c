/* SPDX-License-Identifier: MIT */
#include "ssh/auth.h"

#include <stdlib.h>
#include <string.h>

#include "ssh/agent.h"
#include "ssh/auth_room.h"
#include "ssh/certified.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/list.h"

/* Beyond the methods: "none", which makes the server say what it accepts. */
enum { METHOD_NONE = 8, NOTICE_MAX = 200 };

/* ---- options --------------------------------------------------------------
 */

static bool has_method(const struct arc_auth *auth, int method) {
  for (int i = 0; i < ARC_AUTH_METHODS; i++) {
    if ((int)auth->methods[i] == method) {
      return true;
    }
  }
  return false;
}

bool arc_auth_init(struct arc_auth *auth,
                   const struct arc_session_options *opts) {
  const char *path = opts->agent ? opts->agent : getenv("SSH_AUTH_SOCK");
  auth->identities = arc_list_copy(opts->identities);
  auth->certificates = arc_list_copy(opts->certificates);
  auth->certified = opts->certified ? arc_certified_ref(opts->certified) : NULL;
  auth->identities_only = opts->identities_only;
  auth->use_agent = opts->use_agent && path && *path;
  auth->agent = auth->use_agent ? strdup(path) : NULL;
  auth->passphrase = opts->passphrase ? arc_secret_ref(opts->passphrase) : NULL;
  auth->password = opts->password ? arc_secret_ref(opts->password) : NULL;
  auth->can_ask = opts->can_ask;
  memcpy(auth->methods, opts->methods, sizeof auth->methods);
  auth->prompts = -1;
  return auth->identities && auth->certificates &&
         (auth->agent || !auth->use_agent);
}

bool arc_auth_empty(const struct arc_auth *auth) {
  bool keys = has_method(auth, ARC_AUTH_PUBLICKEY) &&
              (*auth->identities || auth->certified || auth->use_agent);
  return !keys && !arc_authword_ready(auth, 0);
}

void arc_auth_free(struct arc_loop *loop, struct arc_auth *auth) {
  arc_authkey_free(loop, auth);
  arc_authword_free(auth);
  arc_list_free(auth->identities);
  arc_list_free(auth->certificates);
  auth->identities = auth->certificates = NULL;
  arc_certified_unref(auth->certified);
  auth->certified = NULL;
  free(auth->agent);
  auth->agent = NULL;
  arc_secret_unref(auth->passphrase);
  arc_secret_unref(auth->password);
  auth->passphrase = auth->password = NULL;
  arc_err_unref(auth->skip);
  auth->skip = NULL;
}

/* ---- errors ---------------------------------------------------------------
 */

void arc_auth_skip(struct arc_auth *auth, struct arc_err *err) {
  if (auth->skip) {
    arc_err_unref(err);
  } else {
    auth->skip = err;
  }
}

/* What the server would take, for the message. */
static void say_accepted(struct arc_session *s, struct arc_buf *text) {
  const struct {
    int bit;
    const char *name;
  } methods[] = {{SSH_AUTH_METHOD_PUBLICKEY, "publickey"},
                 {SSH_AUTH_METHOD_PASSWORD, "password"},
                 {SSH_AUTH_METHOD_INTERACTIVE, "keyboard-interactive"},
                 {SSH_AUTH_METHOD_HOSTBASED, "hostbased"},
                 {SSH_AUTH_METHOD_GSSAPI_MIC, "gssapi-with-mic"}};
  int bits = ssh_userauth_list(s->ssh, NULL);
  const char *sep = "";
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    if (bits & methods[i].bit) {
      arc_buf_format(text, "%s%s", sep, methods[i].name);
      sep = ", ";
    }
  }
  arc_buf_text(text, *sep ? "" : "nothing that we speak");
}

static void say_tried(const struct arc_auth *auth, struct arc_buf *text) {
  if (auth->tried) {
    arc_buf_format(text, "%d %s", auth->tried,
                   auth->tried == 1 ? "key" : "keys");
  }
  if (auth->refused) {
    arc_buf_format(text, "%s%s", auth->tried ? " and " : "", "the password");
  }
  if (!auth->tried && !auth->refused) {
    arc_buf_text(text, "nothing");
  }
}

static struct arc_err *refused(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  struct arc_buf text = {0};
  arc_buf_format(&text,
                 auth->partial ? "user %s was accepted in part, but sshd wants "
                                 "more: "
                               : "user %s was refused; sshd accepts: ",
                 s->user);
  say_accepted(s, &text);
  arc_buf_text(&text, "; tried: ");
  say_tried(auth, &text);
  if (auth->unasked) {
    arc_buf_format(&text, "; nobody answered \"%s\"", auth->unasked);
  }
  if (auth->skip) {
    arc_buf_format(&text, "; left out: %s", auth->skip->message);
  }
  const char *issue = arc_session_hear_issue(s);
  if (issue && strlen(issue) <= NOTICE_MAX) {
    arc_buf_format(&text, "; the server says: %s", issue);
  }
  struct arc_err *err =
      arc_session_error(s, "ssh.auth-refused", "%.*s", (int)arc_buf_len(&text),
                        (const char *)arc_buf_head(&text));
  arc_err_because(err, auth->skip);
  arc_buf_free(&text);
  return err;
}

/* Nothing is left to try. */
static int give_up(struct arc_session *s, struct arc_err **err) {
  struct arc_auth *auth = &s->auth;
  if (ssh_userauth_list(s->ssh, NULL)) {
    *err = refused(s);
  } else if (auth->unasked) {
    *err = arc_err_reason("ssh.auth-refused",
                          "user %s was not let in: nobody answered \"%s\"",
                          s->user, auth->unasked);
  } else if (auth->skip) {
    *err = arc_err_ref(auth->skip);
  } else {
    *err = arc_err_reason("ssh.no-identity",
                          "no key to log in as %s with: the agent holds "
                          "none%s",
                          s->user, auth->identities_only ? " of these" : "");
  }
  return ARC_AUTH_FAILED;
}

/* The server ended the login: too many keys tried, or the network. */
static int broken(struct arc_session *s, struct arc_err **err) {
  struct arc_auth *auth = &s->auth;
  const char *text = arc_session_text(s);
  if (strstr(text, "Too many authentication failures")) {
    size_t held = 0;
    if (auth->job) {
      arc_agent_keys(auth->job, &held);
    }
    *err = arc_err_reason("ssh.too-many-keys",
                          "user %s was refused: sshd hears no more after its "
                          "MaxAuthTries (tried: %d of files; the agent holds "
                          "%zu)",
                          s->user, auth->tried, held);
  } else {
    *err = arc_session_error(s, "ssh.closed",
                             "the connection ended during login (%s)", text);
  }
  return ARC_AUTH_FAILED;
}

/* ---- methods --------------------------------------------------------------
 */

int arc_auth_listed(struct arc_session *s) {
  static const int pairs[][2] = {
      {SSH_AUTH_METHOD_PUBLICKEY, ARC_AUTH_PUBLICKEY},
      {SSH_AUTH_METHOD_INTERACTIVE, ARC_AUTH_KBDINT},
      {SSH_AUTH_METHOD_PASSWORD, ARC_AUTH_PASSWORD}};
  int bits = ssh_userauth_list(s->ssh, NULL);
  int listed = bits ? METHOD_NONE : 0;
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    listed |= bits & pairs[i][0] ? pairs[i][1] : 0;
  }
  return listed;
}

bool arc_auth_judged(struct arc_session *s, int method) {
  int listed = arc_auth_listed(s);
  return !listed || (listed & method);
}

/* Is this method worth a request? As long as the server has not said what it
 * takes, a password goes by the method that every server knows. */
static bool worth(const struct arc_auth *auth, int method) {
  if (auth->spent & method) {
    return false;
  }
  if (auth->allowed) {
    return (auth->allowed & method) &&
           (method == ARC_AUTH_PUBLICKEY || arc_authword_ready(auth, method));
  }
  bool given = auth->password && !auth->word_used;
  return method == ARC_AUTH_PUBLICKEY ||
         (method == ARC_AUTH_PASSWORD && given) ||
         (method == ARC_AUTH_KBDINT && given &&
          !has_method(auth, ARC_AUTH_PASSWORD));
}

/* The next method in the user's order that the server goes on with; 0: none. */
static int choose(const struct arc_auth *auth) {
  for (int i = 0; i < ARC_AUTH_METHODS && auth->methods[i]; i++) {
    if (worth(auth, (int)auth->methods[i])) {
      return (int)auth->methods[i];
    }
  }
  return !auth->allowed && !auth->probed && arc_authword_ready(auth, 0)
             ? METHOD_NONE
             : 0;
}

static int step_method(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  switch (auth->current) {
  case ARC_AUTH_PUBLICKEY:
    return arc_authkey_step(s);
  case ARC_AUTH_PASSWORD:
    return arc_password_step(s);
  case ARC_AUTH_KBDINT:
    return arc_kbdint_step(s);
  default:
    auth->probed = true;
    return ssh_userauth_none(s->ssh, NULL);
  }
}

/* What follows from a method's answer. */
static void conclude(struct arc_session *s, int rc) {
  struct arc_auth *auth = &s->auth;
  int method = auth->current;
  auth->current = 0;
  auth->allowed = arc_auth_listed(s);
  switch (rc) {
  case SSH_AUTH_PARTIAL:
    auth->partial = true;
    break;
  case ARC_AUTH_NOTHING:
    auth->spent |= method;
    break;
  case ARC_AUTH_PROBE:
    auth->current = METHOD_NONE;
    break;
  default:
    auth->refused |= method & (ARC_AUTH_PASSWORD | ARC_AUTH_KBDINT) &&
                     auth->allowed & method;
  }
}

int arc_auth_step(struct arc_session *s, struct arc_err **err) {
  struct arc_auth *auth = &s->auth;
  bool ended = arc_session_ended(s);
  while (!auth->question || auth->has_answer) {
    if (!auth->current && !(auth->current = choose(auth))) {
      return give_up(s, err);
    }
    int rc = step_method(s);
    if (rc == SSH_AUTH_SUCCESS) {
      return ARC_AUTH_DONE;
    }
    if (rc == SSH_AUTH_ERROR) {
      return broken(s, err);
    }
    if (rc != SSH_AUTH_AGAIN) {
      conclude(s, rc);
    } else if (!auth->has_answer) {
      break;
    }
  }
  bool away = auth->job && arc_agent_away(auth->job);
  if (!away && (ended || arc_session_ended(s))) {
    return broken(s, err); // libssh would wait for ever
  }
  return ARC_AUTH_AGAIN;
}
