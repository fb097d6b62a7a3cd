/* SPDX-License-Identifier: MIT */
/* The head of one WebSocket frame: each cut of it, and there and back. */
#include "fuzz.h"

#include "net/wshead.h"

/* What is read before all has come must not differ from what all says. */
static void check_cuts(const uint8_t *data, size_t n, int whole) {
  for (size_t cut = 0; cut < n && cut < ARC_WSHEAD_MAX; cut++) {
    struct arc_wshead head;
    const char *why = NULL;
    int rc = arc_wshead_read(data, cut, &head, &why);
    DEMAND(rc == 0 || rc == whole);
    DEMAND((rc < 0) == (why != NULL));
  }
}

static void check_round(const uint8_t *data, int n,
                        const struct arc_wshead *head) {
  uint8_t again[ARC_WSHEAD_MAX];
  size_t n_mask = head->masked ? sizeof head->mask : 0;
  size_t size = arc_wshead_write(again, head);
  DEMAND(size + n_mask == (size_t)n);
  again[1] |= head->masked ? 0x80 : 0;
  DEMAND(!memcmp(again, data, size));
}

static void check_mask(const uint8_t *data, size_t n, const uint8_t mask[4]) {
  uint8_t once[64], parts[64];
  n = n < sizeof once ? n : sizeof once;
  size_t cut = n / 3;
  arc_ws_mask(once, data, n, mask, 0);
  arc_ws_mask(parts, data, cut, mask, 0);
  arc_ws_mask(parts + cut, data + cut, n - cut, mask, cut);
  for (size_t i = 0; i < n; i++) {
    DEMAND(once[i] == parts[i] && once[i] == (data[i] ^ mask[i % 4]));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arc_wshead head;
  const char *why = NULL;
  int n = arc_wshead_read(data, size, &head, &why);
  DEMAND(n >= -1 && n <= ARC_WSHEAD_MAX && n <= (int)size);
  DEMAND((n < 0) == (why != NULL));
  check_cuts(data, size, n);
  if (n > 0) {
    check_round(data, n, &head);
    check_mask(data + n, size - (size_t)n, head.mask);
  }
  return 0;
}
