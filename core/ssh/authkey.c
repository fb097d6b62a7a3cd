/* SPDX-License-Identifier: MIT */
/* The method publickey: first the files that are open, each offered with its
 * signature at once; then the agent; then the files that need a passphrase,
 * which is asked for when the server would take the key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/agent.h"
#include "ssh/auth_room.h"
#include "util/err.h"

enum { PASSPHRASES = 3 };

void arc_authkey_free(struct arc_loop *loop, struct arc_auth *auth) {
  arc_offers_free(auth->offers);
  arc_offers_free(auth->batch);
  arc_offers_free(auth->picks);
  auth->offers = auth->batch = auth->picks = auth->offered = NULL;
  if (auth->uses_keys) {
    auth->uses_keys = false;
    arc_keys_leave(loop);
  }
  if (auth->job) {
    arc_agent_free(auth->job);
    auth->job = NULL;
  }
}

/* ---- files ----------------------------------------------------------------
 */

/* What the server says of the offer's signature. */
static int settle(struct arc_session *s, struct arc_offer *offer, int rc) {
  struct arc_auth *auth = &s->auth;
  if (rc == SSH_AUTH_AGAIN) {
    return rc;
  }
  auth->offered = NULL;
  offer->done = rc != SSH_AUTH_DENIED || arc_auth_judged(s, ARC_AUTH_PUBLICKEY);
  auth->tried += rc == SSH_AUTH_DENIED && offer->done;
  return rc;
}

static int sign(struct arc_session *s, struct arc_offer *offer) {
  s->auth.offered = offer;
  return settle(s, offer, ssh_userauth_publickey(s->ssh, NULL, offer->secret));
}

static struct arc_offer *next_open(struct arc_auth *auth) {
  struct arc_offer *offer = auth->offers;
  while (offer && (offer->done || !offer->secret)) {
    offer = offer->next;
  }
  return offer;
}

/* ---- files with a passphrase ----------------------------------------------
 */

static struct arc_offer *next_locked(struct arc_auth *auth) {
  struct arc_offer *offer = auth->offers;
  while (offer && (offer->done || !offer->locked)) {
    offer = offer->next;
  }
  return offer;
}

static void ask_passphrase(struct arc_auth *auth, const struct arc_offer *offer,
                           int attempt) {
  char *text = NULL;
  if (asprintf(&text, "Enter passphrase for key '%s': ", offer->path) < 0) {
    text = NULL;
  }
  arc_auth_ask(auth, (struct arc_question){.kind = ARC_ASK_PASSPHRASE,
                                           .text = text,
                                           .path = strdup(offer->path),
                                           .attempt = attempt});
}

static void give_file_up(struct arc_auth *auth, const struct arc_offer *offer,
                         struct arc_err *err) {
  for (struct arc_offer *o = auth->offers; o; o = o->next) {
    o->done |= o->path == offer->path;
  }
  auth->offered = NULL;
  arc_auth_skip(auth, err);
}

/* The answer to ask_passphrase. */
static int unlock(struct arc_session *s, struct arc_offer *offer) {
  struct arc_auth *auth = &s->auth;
  struct arc_secret *answer = NULL;
  struct arc_err *err = NULL;
  if (!arc_auth_answered(auth, &answer)) {
    ask_passphrase(auth, offer, ++offer->attempts);
    return SSH_AUTH_AGAIN;
  }
  bool open = answer && arc_offers_unlock(s, offer, answer, &err);
  bool declined = !answer;
  arc_secret_unref(answer);
  if (open) {
    return sign(s, offer);
  }
  if (!declined && !err && offer->attempts < PASSPHRASES) {
    return unlock(s, offer);
  }
  give_file_up(auth, offer,
               err ? err
                   : arc_err_reason("ssh.bad-key",
                                    declined
                                        ? "no passphrase was given for %s"
                                        : "the passphrase does not open the "
                                          "key %s",
                                    offer->path));
  return SSH_AUTH_DENIED;
}

/* Would the server take this key? */
static int probe(struct arc_session *s, struct arc_offer *offer) {
  s->auth.offered = offer;
  int rc = offer->pub
               ? ssh_userauth_try_publickey(s->ssh, NULL, offer->pub->key)
               : SSH_AUTH_SUCCESS;
  if (rc != SSH_AUTH_SUCCESS) {
    return settle(s, offer, rc);
  }
  offer->taken = true;
  return unlock(s, offer);
}

static int step_locked(struct arc_session *s, struct arc_offer *offer) {
  struct arc_auth *auth = &s->auth;
  if (auth->can_ask) {
    return offer->taken ? unlock(s, offer) : probe(s, offer);
  }
  give_file_up(auth, offer,
               arc_err_reason("ssh.bad-key",
                              auth->passphrase
                                  ? "the passphrase does not open the key %s"
                                  : "the key %s is encrypted and no passphrase "
                                    "was given",
                              offer->path));
  return ARC_AUTH_NOTHING;
}

/* ---- the agent ------------------------------------------------------------
 */

static void agent_answered(void *arg) {
  struct arc_session *s = arg;
  s->auth.answered = true;
  arc_session_wake(s);
}

static int no_agent(struct arc_auth *auth, struct arc_err *err) {
  auth->use_agent = false;
  if (err) {
    arc_auth_skip(auth, err);
  }
  return ARC_AUTH_NOTHING;
}

/* The agent's key may stand in a file, too. */
static void mark_done(struct arc_auth *auth, const struct arc_offer *pick) {
  for (struct arc_offer *o = auth->offers; o; o = o->next) {
    o->done |= o->pub && !strcmp(o->pub->base64, pick->pub->base64);
  }
}

/* The first n of the batch were judged; the others are picked again. */
static void shelve(struct arc_auth *auth, int n) {
  struct arc_offer **end = &auth->batch;
  while (*end && n--) {
    mark_done(auth, *end);
    end = &(*end)->next;
  }
  struct arc_offer *rest = *end;
  *end = auth->picks;
  auth->picks = auth->batch;
  auth->batch = NULL;
  arc_offers_free(rest);
  arc_agent_reset(auth->job);
}

static int count(const struct arc_offer *list) {
  int n = 0;
  for (; list; list = list->next) {
    n++;
  }
  return n;
}

static int agent_result(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  int rc = arc_agent_result(auth->job);
  int last = arc_agent_signed(auth->job);
  struct arc_err *why = arc_agent_err(auth->job);
  switch (rc) {
  case SSH_AUTH_AGAIN:
  case SSH_AUTH_SUCCESS:
    return rc;
  case SSH_AUTH_DENIED:
    auth->tried += count(auth->batch);
    shelve(auth, count(auth->batch));
    return rc;
  case SSH_AUTH_PARTIAL:
    auth->tried += last;
    shelve(auth, last + 1);
    return rc;
  default:
    if (arc_session_ended(s) || !why || last < 0) {
      return SSH_AUTH_ERROR;
    }
    arc_auth_skip(auth, arc_err_ref(why));
    shelve(auth, last + 1);
    return ARC_AUTH_NOTHING;
  }
}

/* Chooses what the agent shall sign for. */
static int choose(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  auth->batch = arc_offers_of_agent(s);
  if (!auth->batch) {
    return no_agent(auth, NULL);
  }
  if (!auth->allowed && auth->batch->next && arc_authword_ready(auth, 0)) {
    // Keys that the server does not want would use up its patience before the
    // password comes; libssh offers them all in one go.
    arc_offers_free(auth->batch);
    auth->batch = NULL;
    return ARC_AUTH_PROBE;
  }
  for (const struct arc_offer *o = auth->batch; o; o = o->next) {
    if (!arc_agent_pick(auth->job, o->pub, o->signer)) {
      return no_agent(auth, arc_err_new(ARC_E_NOMEM, "out of memory"));
    }
  }
  return SSH_AUTH_SUCCESS;
}

static int call_agent(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  return arc_agent_call(auth->job, s->ssh)
             ? SSH_AUTH_AGAIN
             : no_agent(auth, arc_err_new(ARC_E_NOMEM,
                                          "no thread for the SSH agent"));
}

static int open_agent(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  struct arc_err *why = NULL;
  auth->job = arc_agent_open(s->loop, auth->agent, agent_answered, s, &why);
  return auth->job ? SSH_AUTH_AGAIN : no_agent(auth, why);
}

static int step_agent(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  if (!auth->job) {
    return open_agent(s);
  }
  if (arc_agent_listing(auth->job)) {
    return SSH_AUTH_AGAIN;
  }
  if (!auth->batch) {
    auth->answered = false;
    struct arc_err *why = arc_agent_err(auth->job);
    if (why) {
      return no_agent(auth, arc_err_ref(why));
    }
    int rc = choose(s);
    return rc == SSH_AUTH_SUCCESS ? call_agent(s) : rc;
  }
  if (auth->answered) {
    auth->answered = false;
    int rc = agent_result(s);
    if (rc != SSH_AUTH_AGAIN) {
      return rc;
    }
  }
  // Without anything new the thread would only find nothing new.
  return s->moved ? call_agent(s) : SSH_AUTH_AGAIN;
}

/* ---- all ------------------------------------------------------------------
 */

int arc_authkey_step(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  if (!auth->prepared) {
    auth->prepared = true;
    auth->uses_keys = arc_keys_use(s->loop);
    if (auth->uses_keys) {
      arc_offers_prepare(s);
    }
  }
  struct arc_offer *offer = auth->offered;
  if (offer) {
    return offer->secret ? sign(s, offer) : step_locked(s, offer);
  }
  if ((offer = next_open(auth))) {
    return sign(s, offer);
  }
  if (auth->use_agent) {
    int rc = step_agent(s);
    return rc == ARC_AUTH_NOTHING ? SSH_AUTH_DENIED : rc;
  }
  if ((offer = next_locked(auth))) {
    int rc = step_locked(s, offer);
    return rc == ARC_AUTH_NOTHING ? SSH_AUTH_DENIED : rc;
  }
  return ARC_AUTH_NOTHING;
}
