/* SPDX-License-Identifier: MIT */
/* A token cache of Microsoft's libraries: what is taken from it is a text that
 * can be sent, and is in it. */
#include "fuzz.h"

#include "azure/msalcache.h"

static void check(const char *text, size_t n, const char *username) {
  static const char *const hosts[] = {"h", "login.windows.net", NULL};
  const struct arc_msal_query query = {.username = username,
                                       .tenant = "t",
                                       .home_tenant = "u",
                                       .client_id = "c",
                                       .hosts = hosts};
  struct arc_err *err = NULL;
  struct arc_secret *secret = arc_msalcache_find(text, n, &query, &err);
  if (secret) {
    DEMAND(!err && secret->len && strlen(secret->bytes) == secret->len);
    DEMAND(secret->len <= n);
    arc_secret_unref(secret);
    return;
  }
  fuzz_check_error(err);
  DEMAND(err->code == ARC_E_NOTFOUND || err->code == ARC_E_PROTOCOL);
  arc_err_unref(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check((const char *)data, size, "a@b");
  check((const char *)data, size, "");
  return 0;
}
