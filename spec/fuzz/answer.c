/* SPDX-License-Identifier: MIT */
/* Bodies of ARM and Entra: errors, and relay credentials. */
#include <stdint.h>

#include "azure/armerr.h"
#include "azure/relayinfo.h"
#include "azure/token.h"
#include "util/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  int status = size ? 200 + 2 * data[0] : 400;
  struct arc_err *err = NULL;
  arc_err_unref(arc_arm_error(status, text, size, size & 1));
  arc_err_unref(arc_token_error(status, text, size));
  arc_relayinfo_unref(arc_relayinfo_parse(text, size, &err));
  arc_err_unref(err);
  return 0;
}
