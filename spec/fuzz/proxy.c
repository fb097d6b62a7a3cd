/* SPDX-License-Identifier: MIT */
/* NO_PROXY: a line with the host, then the list. */
#include "fuzz.h"

#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  char *host = fuzz_line(&in);
  char *list = fuzz_text(&in, in.left);
  bool covered = arc_no_proxy(list, host, 443);
  size_t n = strlen(list);
  char *more = malloc(n + 3);
  DEMAND(more);
  memcpy(more, list, n);
  memcpy(more + n, ",*", 3);
  DEMAND(arc_no_proxy(more, host, 443));
  more[n + 1] = '\0';
  DEMAND(arc_no_proxy(more, host, 443) == covered);
  DEMAND(!(arc_is_loopback(host) && arc_is_link_local(host)));
  free(more);
  free(host);
  free(list);
  return 0;
}
