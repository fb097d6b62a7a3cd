/* SPDX-License-Identifier: MIT */
/* WebSocket frames of either role, in pieces of varying size. */
#include "net/wsframe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(struct arc_wsframes *frames, const uint8_t *data, size_t size,
                 size_t piece) {
  struct arc_buf raw = {0}, payload = {0};
  struct arc_wsnews news;
  enum arc_wsevent event = ARC_WS_MORE;
  for (size_t at = 0; at < size && event != ARC_WS_BAD; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    arc_buf_append(&raw, data + at, n);
    do {
      event = arc_wsframes_decode(frames, &raw, &payload, 64, &news);
      arc_buf_consume(&payload, arc_buf_len(&payload));
    } while (event == ARC_WS_PING || event == ARC_WS_FULL);
  }
  arc_buf_free(&raw);
  arc_buf_free(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) {
    return 0;
  }
  struct arc_wsframes *frames =
      arc_wsframes_new(data[0] & 1 ? ARC_WS_SERVER : ARC_WS_CLIENT);
  feed(frames, data + 1, size - 1, (size_t)(data[0] >> 1) + 1);
  arc_wsframes_free(frames);
  return 0;
}
