/* SPDX-License-Identifier: MIT */
#include "azure/certificate.h"

#include <string.h>
#include <strings.h>

#include "azure/json.h"
#include "crypto/base64.h"
#include "util/err.h"

static const char KIND[] = "ssh-cert";

bool arc_certificate_fields(const struct arc_sshkey *key, struct arc_buf *jwk,
                            struct arc_form_field to[ARC_CERTIFICATE_FIELDS]) {
  const char *id = arc_sshkey_id(key);
  if (!arc_sshkey_jwk(key, jwk)) {
    return false;
  }
  to[0] = (struct arc_form_field){
      .name = "token_type", .value = KIND, .n = sizeof KIND - 1};
  to[1] =
      (struct arc_form_field){.name = "key_id", .value = id, .n = strlen(id)};
  to[2] = (struct arc_form_field){.name = "req_cnf",
                                  .value = (const char *)arc_buf_head(jwk),
                                  .n = arc_buf_len(jwk)};
  return true;
}

static struct arc_sshcert *decode(const char *text, size_t n,
                                  struct arc_err **err) {
  struct arc_buf blob = {.secret = true};
  struct arc_sshcert *cert = NULL;
  if (n && arc_base64_decode(&blob, text, n)) {
    cert = arc_sshcert_parse(arc_buf_head(&blob), arc_buf_len(&blob), err);
  } else {
    *err = arc_err_new(ARC_E_PROTOCOL,
                       "not an OpenSSH certificate: it is not base64");
  }
  arc_buf_free(&blob);
  return cert;
}

struct arc_sshcert *arc_certificate_parse(const char *text,
                                          const struct arc_sshkey *key,
                                          double now, struct arc_err **err) {
  size_t n = strcspn(text, " \t\r\n");
  if (text[n] == ' ' || text[n] == '\t') { // its type comes first
    text += n + strspn(text + n, " \t");
    n = strcspn(text, " \t\r\n");
  }
  struct arc_sshcert *cert = decode(text, n, err);
  struct arc_err *bad = cert && key ? arc_sshcert_check(cert, key, now) : NULL;
  if (bad) {
    arc_sshcert_unref(cert);
    *err = bad;
    return NULL;
  }
  return cert;
}

struct arc_sshcert *arc_certificate_read(const json_t *answer,
                                         const struct arc_sshkey *key,
                                         double now, struct arc_err **err) {
  const char *type = arc_json_text(answer, "token_type");
  const char *text = arc_json_text(answer, "access_token");
  if (!type || !text) {
    *err = arc_err_reason("http.bad-answer", "the answer is not a certificate");
    return NULL;
  }
  if (strcasecmp(type, KIND) != 0) {
    *err = arc_err_reason("entra.no-certificate",
                          "an ordinary token came instead of a certificate");
    return NULL;
  }
  struct arc_sshcert *cert = decode(text, strlen(text), err);
  if (!cert) {
    struct arc_err *why = *err;
    *err = arc_err_reason("entra.bad-certificate", "the answer is %s",
                          why->message);
    arc_err_unref(why);
    return NULL;
  }
  struct arc_err *bad = arc_sshcert_check(cert, key, now);
  if (bad) {
    arc_sshcert_unref(cert);
    *err = bad;
    return NULL;
  }
  return cert;
}
