/* SPDX-License-Identifier: MIT */
#include "azure/claims.h"

#include <ctype.h>
#include <string.h>

#include "azure/json.h"
#include "crypto/base64.h"
#include "util/buf.h"

enum { JWT_MIN = 16 }; /* shorter text that begins like one is harmless */

json_t *arc_claims_read(const struct arc_secret *token) {
  const char *dot = memchr(token->bytes, '.', token->len);
  if (!dot) {
    return NULL;
  }
  const char *payload = dot + 1;
  size_t left = token->len - (size_t)(payload - token->bytes);
  const char *end = memchr(payload, '.', left);
  struct arc_buf text = {.secret = true};
  json_t *claims = NULL;
  if (end && arc_base64_decode(&text, payload, (size_t)(end - payload))) {
    claims =
        arc_json_secret((const char *)arc_buf_head(&text), arc_buf_len(&text));
  }
  arc_buf_free(&text);
  if (claims && !json_is_object(claims)) {
    arc_json_wipe(claims);
    return NULL;
  }
  return claims;
}

void arc_claims_redact(char *text, size_t n) {
  for (size_t i = 0; i + 3 <= n; i++) {
    if (memcmp(text + i, "eyJ", 3) != 0) {
      continue;
    }
    size_t len = 0;
    while (i + len < n &&
           (isalnum((unsigned char)text[i + len]) ||
            strchr("-_.=", text[i + len]) != NULL) &&
           text[i + len]) {
      len++;
    }
    if (len >= JWT_MIN) {
      memset(text + i, '*', len);
    }
    i += len - 1;
  }
}

char *arc_claims_declare(const char *challenge, size_t n) {
  json_t *all = challenge ? arc_json_parse(challenge, n) : json_object();
  json_t *ours =
      json_pack("{s:{s:{s:[s]}}}", "access_token", "xms_cc", "values", "CP1");
  char *text = NULL;
  if (json_is_object(all) && !json_object_update_recursive(all, ours)) {
    text = json_dumps(all, JSON_COMPACT);
  }
  json_decref(ours);
  json_decref(all);
  return text;
}
