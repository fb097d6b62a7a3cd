/* SPDX-License-Identifier: MIT */
/* Public keys: as a line of a file, and as an agent or server sends them. */
#include "fuzz.h"

#include "ssh/pubkey.h"

static void check_key(struct arc_pubkey *key) {
  if (!key) {
    return;
  }
  size_t len = 0;
  uint8_t *blob = arc_pubkey_bytes(key->base64, &len);
  DEMAND(blob && key->refs == 1 && key->key && *key->type);
  struct arc_pubkey *again = arc_pubkey_new(blob, len);
  DEMAND(again && !strcmp(again->plain, key->plain));
  DEMAND(!strcmp(again->base64, key->base64));
  DEMAND(arc_pubkey_certificate(key) || !strcmp(key->plain, key->base64));
  free(blob);
  blob = arc_pubkey_bytes(key->plain, &len);
  DEMAND(blob && len > 4);
  free(blob);
  arc_pubkey_unref(again);
  arc_pubkey_unref(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  check_key(arc_pubkey_new(data, size));
  char *line = fuzz_text(&in, size);
  check_key(arc_pubkey_parse(line));
  free(line);
  return 0;
}
