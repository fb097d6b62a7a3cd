/* SPDX-License-Identifier: MIT */
#include "azure/msalcache.h"

#include <string.h>
#include <strings.h>

#include "azure/json.h"
#include "util/err.h"

/* The member of an entry, "" when it has none. */
static const char *text_of(const json_t *entry, const char *name) {
  const char *text = arc_json_text(entry, name);
  return text ? text : "";
}

static bool same(const char *a, const char *b) {
  return b && *b && !strcasecmp(a, b);
}

static bool is_of_cloud(const json_t *entry,
                        const struct arc_msal_query *query) {
  const char *host = text_of(entry, "environment");
  for (const char *const *at = query->hosts; *at; at++) {
    if (same(host, *at)) {
      return true;
    }
  }
  return false;
}

/* One name may have accounts of several directories: the one at home in the
 * user's own goes first. 0: another's. */
static int rank_account(const json_t *entry,
                        const struct arc_msal_query *query) {
  const char *home = strrchr(text_of(entry, "home_account_id"), '.');
  const char *realm = text_of(entry, "realm");
  if (!same(text_of(entry, "username"), query->username) ||
      !is_of_cloud(entry, query) || !home) {
    return 0;
  }
  return 1 + 4 * same(home + 1, query->home_tenant) +
         2 * same(realm, query->tenant) + same(realm, query->home_tenant);
}

static const char *find_account(const json_t *root,
                                const struct arc_msal_query *query) {
  const char *key, *found = NULL;
  json_t *entry;
  int best = 0;
  json_object_foreach(json_object_get(root, "Account"), key, entry) {
    int rank = rank_account(entry, query);
    if (rank > best) {
      best = rank;
      found = text_of(entry, "home_account_id");
    }
  }
  return found;
}

static double modified(const json_t *entry) {
  double when = 0;
  arc_json_seconds(json_object_get(entry, "last_modification_time"), &when);
  return when;
}

static bool is_wanted(const json_t *entry, const char *home,
                      const struct arc_msal_query *query, bool family) {
  return same(text_of(entry, "home_account_id"), home) &&
         is_of_cloud(entry, query) && *text_of(entry, "secret") &&
         (family ? !strcmp(text_of(entry, "family_id"), "1")
                 : same(text_of(entry, "client_id"), query->client_id));
}

static const json_t *newest(const json_t *root, const char *home,
                            const struct arc_msal_query *query, bool family) {
  const char *key;
  json_t *entry;
  const json_t *found = NULL;
  json_object_foreach(json_object_get(root, "RefreshToken"), key, entry) {
    if (is_wanted(entry, home, query, family) &&
        (!found || modified(entry) > modified(found))) {
      found = entry;
    }
  }
  return found;
}

static struct arc_secret *find(const json_t *root,
                               const struct arc_msal_query *query,
                               struct arc_err **err) {
  const char *home = find_account(root, query);
  const json_t *entry = home ? newest(root, home, query, false) : NULL;
  entry = entry || !home ? entry : newest(root, home, query, true);
  if (!entry) {
    *err = arc_err_new(ARC_E_NOTFOUND, "there is no refresh token of %s",
                       query->username);
    return NULL;
  }
  const char *text = text_of(entry, "secret");
  struct arc_secret *secret = arc_secret_new(text, strlen(text));
  *err = secret ? NULL : arc_err_new(ARC_E_NOMEM, "out of memory");
  return secret;
}

struct arc_secret *arc_msalcache_find(const char *text, size_t n,
                                      const struct arc_msal_query *query,
                                      struct arc_err **err) {
  json_t *root = arc_json_secret(text, n);
  struct arc_secret *secret = NULL;
  *err = NULL;
  if (json_is_object(root)) {
    secret = find(root, query, err);
  } else {
    *err = arc_err_new(ARC_E_PROTOCOL, "it is no JSON object");
  }
  arc_json_wipe(root);
  return secret;
}
