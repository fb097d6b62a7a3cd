/* SPDX-License-Identifier: MIT */
/* The response head, whole and in two pieces, then its classification. */
#include <stdlib.h>
#include <string.h>

#include "net/head.h"
#include "relay/classify.h"
#include "util/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arc_head whole = {0}, split = {0};
  struct arc_span value;
  size_t cut = size ? data[0] % size : 0;
  enum arc_head_state a = arc_head_parse(&whole, data, size);
  enum arc_head_state b = arc_head_parse(&split, data, cut);
  if (b == ARC_HEAD_MORE) {
    b = arc_head_parse(&split, data, size);
  }
  if (a != b || whole.status != split.status) {
    abort();
  }
  if (a == ARC_HEAD_DONE) {
    arc_head_field(&whole, "upgrade", &value);
    arc_err_unref(arc_relay_classify(whole.status, whole.reason.at,
                                     whole.reason.len));
  }
  return 0;
}
