/* SPDX-License-Identifier: MIT */
/* What a relay's answer means, whatever stands in its reason phrase. */
#include "fuzz.h"

#include "relay/classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  int status = 100 + fuzz_byte(&in) * 2;
  status += fuzz_byte(&in) & 1;
  struct arc_err *err =
      arc_relay_classify(status, (const char *)in.at, in.left);
  fuzz_check_error(err);
  DEMAND(err->reason && err->status == status);
  for (const char *c = err->tracking_id; *c; c++) {
    DEMAND(*c > ' ' && *c <= '~' && *c != ',');
  }
  arc_err_unref(err);
  return 0;
}
