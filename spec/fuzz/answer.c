/* SPDX-License-Identifier: MIT */
/* Bodies that ARM and token services answer with, and the texts in them. */
#include "fuzz.h"

#include "azure/armerr.h"
#include "azure/claims.h"
#include "azure/expiry.h"
#include "azure/json.h"
#include "azure/token.h"

static void check_error(struct arc_err *err, int status) {
  fuzz_check_error(err);
  DEMAND(err->reason && err->status == status);
  arc_err_unref(err);
}

static void check_expiry(const char *text, size_t n) {
  double when = -1;
  char *copy = strndup(text, n);
  if (arc_expiry_text(copy, &when)) {
    DEMAND(when >= 0 && when < 1e12);
  }
  free(copy);
  json_t *answer = arc_json_secret(text, n);
  for (int prefer = 0; prefer < 2; prefer++) {
    if (arc_expiry_read(answer, 1.7e9, prefer, &when)) {
      DEMAND(when >= 0 && when < 1e12);
    }
  }
  arc_json_wipe(answer);
}

/* After blanking out, nothing is left that could be a token. */
static void check_redact(const char *text, size_t n) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                                "uvwxyz0123456789-_.=";
  char *copy = malloc(n + 1);
  DEMAND(copy);
  memcpy(copy, text, n);
  copy[n] = '\0';
  arc_claims_redact(copy, n);
  for (size_t i = 0; i + 3 <= n; i++) {
    if (!memcmp(copy + i, "eyJ", 3)) {
      DEMAND(strspn(copy + i, letters) < 16);
    }
  }
  free(copy);
}

static void check_claims(const char *text, size_t n) {
  struct arc_secret *token = arc_secret_new(text, n);
  DEMAND(token);
  json_t *claims = arc_claims_read(token);
  DEMAND(!claims || json_is_object(claims));
  arc_json_wipe(claims);
  arc_secret_unref(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  int status = 200 + fuzz_byte(&in) * 2;
  status += fuzz_byte(&in) & 1;
  const char *text = (const char *)in.at;
  struct arc_arm_facts facts;
  check_error(arc_arm_error(status, text, in.left, false, &facts), status);
  check_error(arc_arm_error(status, text, in.left, true, &facts), status);
  DEMAND(strlen(facts.code) < sizeof facts.code);
  DEMAND(strlen(facts.target) < sizeof facts.target);
  check_error(arc_token_error(status, text, in.left), status);
  check_expiry(text, in.left);
  if (in.left) {
    check_redact(text, in.left);
    check_claims(text, in.left);
  }
  return 0;
}
