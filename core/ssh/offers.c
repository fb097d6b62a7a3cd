/* SPDX-License-Identifier: MIT */
/* Which keys a login offers, and in which order. */
#include <stdlib.h>
#include <string.h>

#include "ssh/agent.h"
#include "ssh/auth_room.h"
#include "ssh/certified.h"
#include "util/err.h"

void arc_offers_free(struct arc_offer *offers) {
  while (offers) {
    struct arc_offer *offer = offers;
    offers = offer->next;
    if (offer->own) {
      ssh_key_free(offer->secret);
    }
    arc_pubkey_unref(offer->pub);
    free(offer->signer);
    free(offer);
  }
}

static struct arc_offer *append(struct arc_offer **list,
                                struct arc_offer offer) {
  struct arc_offer *copy = malloc(sizeof *copy);
  if (!copy) {
    return NULL;
  }
  *copy = offer;
  arc_pubkey_ref(copy->pub);
  while (*list) {
    list = &(*list)->next;
  }
  return *list = copy;
}

static bool same(const struct arc_offer *offer, const char *base64) {
  return offer->pub && !strcmp(offer->pub->base64, base64);
}

static bool contains(const struct arc_offer *list, const char *base64) {
  while (list && !same(list, base64)) {
    list = list->next;
  }
  return list;
}

/* ---- of files -------------------------------------------------------------
 */

/* Who signs for the offer, now that its file is open. */
static void arm(struct arc_auth *auth, struct arc_offer *offer,
                const struct arc_key *key) {
  offer->locked = key->locked;
  if (!key->secret || offer->secret) {
    return;
  }
  if (offer->certified) {
    offer->secret = arc_keys_certify(key->secret, offer->pub);
    offer->own = true;
    if (!offer->secret) {
      arc_auth_skip(auth, arc_err_reason("ssh.bad-key",
                                         "the key %s cannot sign for its "
                                         "certificate",
                                         offer->path));
    }
  } else {
    offer->secret = key->secret;
  }
}

static void add(struct arc_auth *auth, const char *path,
                const struct arc_key *key, struct arc_pubkey *pub) {
  if (pub && contains(auth->offers, pub->base64)) {
    return;
  }
  struct arc_offer *offer = append(
      &auth->offers,
      (struct arc_offer){.path = path,
                         .pub = pub,
                         .certified = pub && arc_pubkey_certificate(pub)});
  if (offer) {
    arm(auth, offer, key);
  } else {
    arc_auth_skip(auth, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
}

/* The certificates of the list that are of this key. */
static void add_listed(struct arc_auth *auth, const char *path,
                       const struct arc_key *key) {
  for (char **name = auth->certificates; key->pub && *name; name++) {
    struct arc_pubkey *cert = arc_pubkey_read(*name);
    if (cert && arc_pubkey_certificate(cert) &&
        !strcmp(cert->plain, key->pub->plain)) {
      add(auth, path, key, cert);
    }
    arc_pubkey_unref(cert);
  }
}

/* The key in memory, whose owner lives as long as the login. */
static void add_certified(struct arc_auth *auth) {
  const struct arc_certified *given = auth->certified;
  if (!append(&auth->offers, (struct arc_offer){.path = "(in memory)",
                                                .pub = given->cert,
                                                .certified = true,
                                                .secret = given->secret})) {
    arc_auth_skip(auth, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
}

void arc_offers_prepare(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  if (auth->certified) {
    add_certified(auth);
  }
  for (char **path = auth->identities; *path; path++) {
    struct arc_err *err = NULL;
    const struct arc_key *key =
        arc_keys_load(s->loop, *path, auth->passphrase, &err);
    if (!key) {
      arc_auth_skip(auth, err);
      continue;
    }
    add_listed(auth, *path, key);
    if (key->cert) {
      add(auth, *path, key, key->cert);
    }
    add(auth, *path, key, key->pub);
  }
  for (char **name = auth->certificates; *name; name++) {
    struct arc_pubkey *cert = arc_pubkey_read(*name);
    if (!cert || !arc_pubkey_certificate(cert)) {
      arc_auth_skip(auth,
                    arc_err_reason("ssh.bad-key",
                                   "%s does not hold a certificate", *name));
    }
    arc_pubkey_unref(cert);
  }
}

bool arc_offers_unlock(struct arc_session *s, struct arc_offer *offer,
                       struct arc_secret *passphrase, struct arc_err **err) {
  const struct arc_key *key =
      arc_keys_load(s->loop, offer->path, passphrase, err);
  if (!key || !key->secret) {
    return false;
  }
  for (struct arc_offer *o = s->auth.offers; o; o = o->next) {
    if (o->path == offer->path) {
      arm(&s->auth, o, key);
    }
  }
  return offer->secret;
}

/* ---- of the agent ---------------------------------------------------------
 */

static void pick(struct arc_auth *auth, struct arc_offer **picks,
                 struct arc_pubkey *pub, const struct arc_pubkey *key) {
  for (const struct arc_offer *o = auth->offers; o; o = o->next) {
    if (o->done && same(o, pub->base64)) {
      return;
    }
  }
  if (contains(*picks, pub->base64) || contains(auth->picks, pub->base64)) {
    return;
  }
  char *signer = strdup(key->base64);
  if (!signer ||
      !append(picks, (struct arc_offer){.pub = pub, .signer = signer})) {
    free(signer);
    arc_auth_skip(auth, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
}

/* The agent's key that signs for pub, or NULL. */
static const struct arc_pubkey *holder(const struct arc_auth *auth,
                                       const struct arc_pubkey *pub) {
  size_t n;
  struct arc_pubkey *const *keys = arc_agent_keys(auth->job, &n);
  const struct arc_pubkey *found = NULL;
  for (size_t i = 0; i < n; i++) {
    if (!strcmp(keys[i]->base64, pub->base64)) {
      return keys[i];
    }
    if (!strcmp(keys[i]->base64, pub->plain)) {
      found = keys[i];
    }
  }
  return found;
}

static bool is_identity(const struct arc_auth *auth,
                        const struct arc_pubkey *key) {
  for (const struct arc_offer *o = auth->offers; o; o = o->next) {
    if (o->pub && !strcmp(o->pub->plain, key->plain)) {
      return true;
    }
  }
  return false;
}

struct arc_offer *arc_offers_of_agent(struct arc_session *s) {
  struct arc_auth *auth = &s->auth;
  struct arc_offer *picks = NULL;
  size_t n;
  struct arc_pubkey *const *keys = arc_agent_keys(auth->job, &n);
  for (struct arc_offer *o = auth->offers; o; o = o->next) {
    const struct arc_pubkey *key = o->pub ? holder(auth, o->pub) : NULL;
    if (key && !o->secret && !o->done) {
      pick(auth, &picks, o->pub, key);
    }
  }
  for (size_t i = 0; i < n; i++) {
    if (auth->identities_only && !is_identity(auth, keys[i])) {
      continue;
    }
    for (char **name = auth->certificates; *name; name++) {
      struct arc_pubkey *cert = arc_pubkey_read(*name);
      if (cert && arc_pubkey_certificate(cert) &&
          !strcmp(cert->plain, keys[i]->base64)) {
        pick(auth, &picks, cert, keys[i]);
      }
      arc_pubkey_unref(cert);
    }
    pick(auth, &picks, keys[i], keys[i]);
  }
  return picks;
}
