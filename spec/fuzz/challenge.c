/* SPDX-License-Identifier: MIT */
/* WWW-Authenticate: parameters of challenges, and the claims in one. */
#include "fuzz.h"

#include "azure/challenge.h"
#include "azure/json.h"

/* What is found stands in the header, but for backslashes. */
static void check_param(const char *header, const char *scheme,
                        const char *name) {
  struct arc_buf found = {0};
  bool ok = arc_challenge_param(header, scheme, name, &found);
  size_t n = arc_buf_len(&found);
  const char *value = (const char *)arc_buf_head(&found);
  DEMAND(n <= strlen(header));
  DEMAND(!ok || strcasestr(header, scheme));
  DEMAND(!ok || strcasestr(header, name));
  if (ok && !strchr(header, '\\')) {
    DEMAND(memmem(header, strlen(header), value, n));
  }
  arc_buf_free(&found);
}

static void check_claims(const char *header) {
  struct arc_buf text = {0};
  if (arc_challenge_claims(header, &text)) {
    json_t *claims =
        arc_json_parse((const char *)arc_buf_head(&text), arc_buf_len(&text));
    DEMAND(json_is_object(claims));
    json_decref(claims);
  } else {
    DEMAND(!arc_buf_len(&text));
  }
  arc_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  char *header = fuzz_text(&in, size);
  check_param(header, "bearer", "claims");
  check_param(header, "basic", "realm");
  check_param(header, "a", "b");
  check_claims(header);
  free(header);
  return 0;
}
