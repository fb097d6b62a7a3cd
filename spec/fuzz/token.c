/* SPDX-License-Identifier: MIT */
/* What a token endpoint answers with status 200: a token, a device code, an
 * assertion; and the claims in what it gave. */
#include "fuzz.h"

#include "azure/claims.h"
#include "azure/json.h"
#include "azure/token.h"

static const double asked = 1.7e9;

static void check_secret(const struct arc_secret *secret) {
  if (secret) {
    DEMAND(secret->refs == 1 && secret->len);
    DEMAND(strlen(secret->bytes) == secret->len);
    json_t *claims = arc_claims_read(secret);
    DEMAND(!claims || json_is_object(claims));
    arc_json_wipe(claims);
  }
}

static void check_taken(const struct arc_token_request *kind,
                        const struct arc_token *token) {
  DEMAND(token->secret);
  DEMAND(token->expires_on >= 0 && token->expires_on < 1e12);
  DEMAND(token->refresh_on < 0 || token->refresh_on > asked);
  if (kind->device) {
    DEMAND(token->user_code && token->verification_uri);
    DEMAND(token->interval >= 1);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct arc_token_request kinds[] = {
      {.device = false}, {.device = true}, {.assertion = true}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    struct arc_token token = {0};
    struct arc_err *err =
        arc_token_read(&kinds[i], (const char *)data, size, asked, &token);
    if (err) {
      fuzz_check_error(err);
      DEMAND(err->reason);
      arc_err_unref(err);
    } else {
      check_taken(&kinds[i], &token);
    }
    check_secret(token.secret);
    check_secret(token.refresh_token);
    check_secret(token.id_token);
    arc_token_clear(&token);
  }
  return 0;
}
