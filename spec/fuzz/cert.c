/* SPDX-License-Identifier: MIT */
/* A certificate that was refused (DER), as the error describes it. The first
 * byte: why it was refused. */
#include "fuzz.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "net/dial.h"
#include "net/dialtls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const long verdicts[] = {X509_V_OK,
                                  X509_V_ERR_CERT_HAS_EXPIRED,
                                  X509_V_ERR_CERT_NOT_YET_VALID,
                                  X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
                                  X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
                                  X509_V_ERR_CERT_REVOKED};
  struct fuzz_input in = {data, size};
  struct arc_dial dial = {0};
  long verdict = verdicts[fuzz_byte(&in) % (sizeof verdicts / sizeof(long))];
  const unsigned char *at = in.at;
  dial.leaf = dial.bad = d2i_X509(NULL, &at, (long)in.left);
  struct arc_err *err =
      arc_dialtls_untrusted(&dial, verdict, "the proxy a.test:80");
  fuzz_check_error(err);
  DEMAND(err->reason && !strncmp(err->reason, "tls.", 4));
  DEMAND(!strncmp(err->message, "the proxy a.test:80: ", 21));
  arc_err_unref(err);
  X509_free(dial.leaf);
  ERR_clear_error();
  return 0;
}
