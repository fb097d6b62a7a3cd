/* SPDX-License-Identifier: MIT */
/* The methods password and keyboard-interactive, and the questions that a
 * login puts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/auth_room.h"
#include "util/err.h"

enum { ATTEMPTS = 3, QUESTIONS_MAX = 32, TEXT_MAX = 2000 };

/* ---- questions ------------------------------------------------------------
 */

/* Text of a server as a terminal may show it; frees text. */
static char *printable(char *text) {
  struct arc_err *err =
      text ? arc_err_new(ARC_E_UNKNOWN, "%.*s", TEXT_MAX, text) : NULL;
  char *copy = err ? strdup(err->message) : NULL;
  arc_err_unref(err);
  free(text);
  return copy;
}

static void free_texts(const struct arc_question *q) {
  free(q->text);
  free(q->path);
  free(q->name);
  free(q->instruction);
}

static void free_question(struct arc_auth *auth) {
  struct arc_question *q = auth->question;
  auth->question = NULL;
  if (q) {
    free_texts(q);
    free(q);
  }
}

void arc_auth_ask(struct arc_auth *auth, struct arc_question question) {
  question.text = printable(question.text);
  question.path = printable(question.path);
  question.name = printable(question.name);
  question.instruction = printable(question.instruction);
  auth->question = malloc(sizeof question);
  if (auth->question) {
    *auth->question = question;
  } else {
    free_texts(&question);
    arc_auth_skip(auth, arc_err_new(ARC_E_NOMEM, "out of memory"));
    auth->has_answer = true; // as if it had been declined
  }
}

bool arc_auth_answered(struct arc_auth *auth, struct arc_secret **answer) {
  if (!auth->has_answer) {
    return false;
  }
  auth->has_answer = false;
  *answer = auth->answer;
  auth->answer = NULL;
  free_question(auth);
  return true;
}

void arc_authword_free(struct arc_auth *auth) {
  free_question(auth);
  arc_secret_unref(auth->answer);
  arc_secret_unref(auth->word);
  auth->answer = auth->word = NULL;
  free(auth->unasked);
  auth->unasked = NULL;
}

bool arc_authword_ready(const struct arc_auth *auth, int method) {
  if (!method) {
    return arc_authword_ready(auth, ARC_AUTH_PASSWORD) ||
           arc_authword_ready(auth, ARC_AUTH_KBDINT);
  }
  bool wanted = false;
  for (int i = 0; i < ARC_AUTH_METHODS; i++) {
    wanted |= (int)auth->methods[i] == method;
  }
  return wanted && !(auth->spent & method) &&
         ((auth->password && !auth->word_used) ||
          (auth->can_ask && auth->asked[method] < ATTEMPTS));
}

/* ---- password -------------------------------------------------------------
 */

static void ask_password(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  char *text = NULL;
  if (asprintf(&text, "%s@%s's password: ", s->user, s->alias) < 0) {
    text = NULL;
  }
  arc_auth_ask(
      auth, (struct arc_question){.kind = ARC_ASK_PASSWORD,
                                  .text = text,
                                  .attempt = ++auth->asked[ARC_AUTH_PASSWORD]});
}

/* Sets auth->word; otherwise AGAIN (asked) or ARC_AUTH_NOTHING. */
static int find_password(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  if (arc_auth_answered(auth, &auth->word)) {
    return auth->word ? SSH_AUTH_SUCCESS : ARC_AUTH_NOTHING;
  }
  if (auth->password && !auth->word_used) {
    auth->word = arc_secret_ref(auth->password);
    auth->word_used = true;
    return SSH_AUTH_SUCCESS;
  }
  if (!auth->can_ask || auth->asked[ARC_AUTH_PASSWORD] == ATTEMPTS) {
    return ARC_AUTH_NOTHING;
  }
  ask_password(s);
  return SSH_AUTH_AGAIN;
}

int arc_password_step(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  int rc = auth->word ? SSH_AUTH_SUCCESS : find_password(s);
  if (rc != SSH_AUTH_SUCCESS) {
    return rc;
  }
  rc = ssh_userauth_password(s->ssh, NULL, auth->word->bytes);
  if (rc == SSH_AUTH_AGAIN) {
    return rc;
  }
  if (rc == SSH_AUTH_DENIED && auth->word == auth->password &&
      !arc_auth_judged(s, ARC_AUTH_PASSWORD)) {
    auth->word_used = false; // nobody has looked at it
  }
  arc_secret_unref(auth->word);
  auth->word = NULL;
  return rc;
}

/* ---- keyboard-interactive -------------------------------------------------
 */

static char *copy_text(const char *text) {
  return text && *text ? strdup(text) : NULL;
}

static void ask_prompt(struct arc_session *s, const char *text, bool echo) {
  struct arc_auth *auth = &s->auth;
  auth->questions++;
  arc_auth_ask(auth, (struct arc_question){
                         .kind = ARC_ASK_KBDINT,
                         .text = strdup(text),
                         .name = copy_text(ssh_userauth_kbdint_getname(s->ssh)),
                         .instruction = copy_text(
                             ssh_userauth_kbdint_getinstruction(s->ssh)),
                         .echo = echo,
                         .attempt = auth->asked[ARC_AUTH_KBDINT]});
}

static int decline(struct arc_auth *auth, const char *text) {
  free(auth->unasked);
  auth->unasked = printable(strdup(text));
  return ARC_AUTH_NOTHING;
}

/* Answers the prompt in turn. */
static int answer_prompt(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  char echo = 0;
  const char *text =
      ssh_userauth_kbdint_getprompt(s->ssh, (unsigned)auth->prompt, &echo);
  struct arc_secret *answer = NULL;
  text = text ? text : "";
  if (arc_auth_answered(auth, &answer)) {
    if (!answer) {
      return decline(auth, text);
    }
  } else if (auth->prompts == 1 && !echo && auth->password &&
             !auth->word_used) {
    answer = arc_secret_ref(auth->password);
    auth->word_used = true;
  } else if (auth->can_ask && auth->questions < QUESTIONS_MAX) {
    ask_prompt(s, text, echo);
    return SSH_AUTH_AGAIN;
  } else {
    return decline(auth, text);
  }
  ssh_userauth_kbdint_setanswer(s->ssh, (unsigned)auth->prompt, answer->bytes);
  arc_secret_unref(answer);
  auth->prompt++;
  return SSH_AUTH_SUCCESS;
}

static int answer_round(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  while (auth->prompt < auth->prompts) {
    int rc = answer_prompt(s);
    if (rc != SSH_AUTH_SUCCESS) {
      return rc;
    }
  }
  auth->prompts = -1;
  return SSH_AUTH_SUCCESS;
}

/* The server's answer to a round, or to the beginning. */
static int hear(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  int rc = ssh_userauth_kbdint(s->ssh, NULL, NULL);
  if (rc == SSH_AUTH_INFO) {
    auth->prompts = ssh_userauth_kbdint_getnprompts(s->ssh);
    auth->prompt = 0;
    auth->heard |= auth->prompts > 0;
    return SSH_AUTH_AGAIN;
  }
  if (rc == SSH_AUTH_DENIED) {
    // Refused without a question: it will not ask the next time either.
    auth->spent |= auth->heard ? 0 : ARC_AUTH_KBDINT;
  }
  return rc;
}

int arc_kbdint_step(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  if (!auth->begun) {
    auth->begun = true;
    auth->heard = false;
    auth->prompts = -1;
    auth->asked[ARC_AUTH_KBDINT]++;
  }
  int rc = SSH_AUTH_SUCCESS;
  do {
    rc = auth->prompts < 0 ? SSH_AUTH_SUCCESS : answer_round(s);
    if (rc == SSH_AUTH_SUCCESS) {
      rc = hear(s);
    }
  } while (rc == SSH_AUTH_AGAIN && auth->prompts >= 0 && !auth->question);
  auth->begun = rc == SSH_AUTH_AGAIN;
  return rc;
}
