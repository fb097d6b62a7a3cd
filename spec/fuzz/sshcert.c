/* SPDX-License-Identifier: MIT */
/* OpenSSH certificates: as a blob, and as Entra or a file gives them, in
 * base64. What is read lies inside of the blob, and can be shown. */
#include "fuzz.h"

#include "azure/certificate.h"
#include "crypto/base64.h"
#include "crypto/sshcert.h"

static void check_inside(const struct arc_sshcert *cert, struct arc_span span) {
  DEMAND(!span.n || (span.at >= cert->blob &&
                     span.at + span.n <= cert->blob + cert->n_blob));
}

static void check_text(struct arc_span span) {
  for (uint32_t i = 0; i < span.n; i++) {
    DEMAND(span.at[i] >= 0x20 && span.at[i] != 0x7f);
  }
}

static void check_lists(const struct arc_sshcert *cert) {
  struct arc_span list = cert->principals, one, data;
  int n = 0;
  for (; arc_sshcert_next(&list, &one); n++) {
    check_inside(cert, one);
    check_text(one);
  }
  DEMAND(n <= 256 && !list.n);
  for (int i = 0; i < 2; i++) {
    list = i ? cert->critical : cert->extensions;
    while (arc_sshcert_next(&list, &one)) {
      check_text(one);
      DEMAND(arc_sshcert_next(&list, &data));
      check_inside(cert, data);
      check_inside(cert, arc_sshcert_value(data));
    }
    DEMAND(!list.n);
  }
}

static void check_judgement(const struct arc_sshcert *cert) {
  static const char line[] =
      "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDJjL7rVQF/2UtnXxEPTSnw+ASDjUhm3k"
      "cDp6ixuNPWB4DK/BqqW0Yje8bcecFfFlZ7kKeucjG0xrPb8ByqtNKghL++GqD2Ypr737L5"
      "ZhnPjo3kNCIQrRFnv8rcSVSgaisbJxbEl+5zeiYUseHy16Fd+6Wa7kLzdXjse1wcB4HTmZ"
      "HTxfSGbD5wWBfUkpVthWGLoLRdaSqI9GZWXgfLrZgagyksSy9fZ3kj0eGYWRS/1NBocyrT"
      "ofEhoh8PMW0Evdtbh/OL1V4UBuoNJXkw1hhON1vishw8L2ktyk41jhPlaRdjGhhVeKEm6s"
      "gdI5kE1zF+ftHnFwvbDTbWcMmchJVd";
  struct arc_err *err = NULL;
  struct arc_sshkey *key = arc_sshkey_parse(line, "key", &err);
  DEMAND(key);
  double now = (double)cert->valid_after;
  struct arc_err *why = arc_sshcert_check(cert, key, now);
  if (why) {
    fuzz_check_error(why);
    arc_err_unref(why);
  } else {
    DEMAND(cert->kind == ARC_SSHCERT_USER && cert->principals.n > 4);
    DEMAND((double)cert->valid_before > now);
  }
  arc_sshkey_unref(key);
}

static void check(struct arc_sshcert *cert, struct arc_err *err) {
  if (!cert) {
    fuzz_check_error(err);
    arc_err_unref(err);
    return;
  }
  char plain[64];
  DEMAND(cert->refs == 1 && !err);
  DEMAND(arc_sshcert_fields(cert->type, plain) > 0);
  check_text(cert->key_id);
  check_inside(cert, cert->key_id);
  check_inside(cert, cert->n);
  check_inside(cert, cert->authority);
  check_lists(cert);
  check_judgement(cert);
  arc_sshcert_unref(cert);
}

static void check_base64(const uint8_t *data, size_t size, bool good) {
  struct arc_buf text = {0};
  struct arc_err *err = NULL;
  DEMAND(arc_base64_encode(&text, data, size, ARC_BASE64_PADDED) &&
         arc_buf_append(&text, "", 1));
  struct arc_sshcert *cert =
      arc_certificate_parse((const char *)arc_buf_head(&text), NULL, 0, &err);
  DEMAND(good == (cert != NULL));
  check(cert, err);
  arc_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  struct arc_err *err = NULL;
  struct arc_sshcert *cert = arc_sshcert_parse(data, size, &err);
  bool good = cert;
  check(cert, err);
  check_base64(data, size, good);
  char *line = fuzz_text(&in, size);
  err = NULL;
  cert = arc_certificate_parse(line, NULL, 0, &err);
  check(cert, err);
  free(line);
  return 0;
}
