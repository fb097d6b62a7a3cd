/* SPDX-License-Identifier: MIT */
/* What a SOCKS client says: as much at once as is needed, and byte by byte. */
#include "fuzz.h"

#include "net/socks.h"

struct outcome {
  enum arc_socks_step step;
  size_t used;
  size_t answered; /* bytes of replies before the last step */
};

static void check_reply(const struct arc_socks *socks) {
  DEMAND(socks->reply_len <= sizeof socks->reply);
  if (socks->reply_len) {
    DEMAND(socks->reply[0] == (socks->version == 4 ? 0 : 5));
  }
}

static void check_place(struct arc_socks *socks) {
  size_t n = strlen(socks->host);
  DEMAND(n > 0 && n <= ARC_SOCKS_HOST);
  for (size_t i = 0; i < n; i++) {
    DEMAND((uint8_t)socks->host[i] > ' ' && socks->host[i] != 0x7f);
  }
  DEMAND(socks->port > 0 && socks->port <= 65535);
  DEMAND(socks->version == 4 || socks->version == 5);
  for (int result = ARC_SOCKS_OK; result <= ARC_SOCKS_NO_ONE; result++) {
    arc_socks_finish(socks, (enum arc_socks_result)result);
    check_reply(socks);
    DEMAND(socks->reply_len == (socks->version == 4 ? 8 : 10));
  }
}

static struct outcome talk(struct arc_socks *socks, const uint8_t *data,
                           size_t size, bool by_byte) {
  struct outcome out = {.step = ARC_SOCKS_MORE};
  memset(socks, 0, sizeof *socks);
  while (out.used < size && out.step <= ARC_SOCKS_ANSWER) {
    size_t need = arc_socks_need(socks);
    DEMAND(need >= 1 && need <= ARC_SOCKS_MESSAGE);
    size_t n = by_byte ? 1 : need;
    n = n < size - out.used ? n : size - out.used;
    out.step = arc_socks_feed(socks, data + out.used, n);
    out.used += n;
    check_reply(socks);
    DEMAND((out.step == ARC_SOCKS_REFUSED) == (socks->why != NULL));
    DEMAND(out.step != ARC_SOCKS_MORE || !socks->reply_len);
    out.answered += out.step == ARC_SOCKS_ANSWER ? socks->reply_len : 0;
  }
  return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arc_socks whole, bytes;
  struct outcome a = talk(&whole, data, size, false);
  struct outcome b = talk(&bytes, data, size, true);
  DEMAND(a.answered == b.answered);
  DEMAND(a.step == b.step && a.used == b.used);
  if (a.step == ARC_SOCKS_CONNECT) {
    DEMAND(!strcmp(whole.host, bytes.host) && whole.port == bytes.port);
    check_place(&whole);
  }
  return 0;
}
