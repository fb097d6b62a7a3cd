/* SPDX-License-Identifier: MIT */
/* The head of a response: whole, byte by byte, and in two pieces cut at every
 * place, which must all say the same. */
#include "fuzz.h"

#include "net/head.h"

enum { EVERY_CUT_MAX = 1024, STRIDE = 61 };

static bool same_span(struct arc_span a, struct arc_span b) {
  return a.len == b.len && (!a.len || a.at == b.at);
}

static void compare(const struct arc_head *a, const struct arc_head *b,
                    enum arc_head_state state) {
  DEMAND(a->status == b->status && a->minor == b->minor);
  DEMAND(same_span(a->reason, b->reason));
  if (state == ARC_HEAD_DONE) {
    DEMAND(a->length == b->length && same_span(a->fields, b->fields));
  }
}

static void check_cut(const struct arc_head *whole, enum arc_head_state state,
                      const uint8_t *data, size_t size, size_t cut) {
  struct arc_head head = {0};
  enum arc_head_state part = arc_head_parse(&head, data, cut);
  if (part == ARC_HEAD_MORE) {
    part = arc_head_parse(&head, data, size);
  }
  DEMAND(part == state);
  compare(whole, &head, state);
}

static void check_drip(const struct arc_head *whole, enum arc_head_state state,
                       const uint8_t *data, size_t size) {
  struct arc_head head = {0};
  enum arc_head_state now = ARC_HEAD_MORE;
  for (size_t n = 0; n <= size && now == ARC_HEAD_MORE; n++) {
    now = arc_head_parse(&head, data, n);
  }
  DEMAND(now == state);
  compare(whole, &head, state);
}

static void check_fields(const struct arc_head *head, const uint8_t *data,
                         size_t size) {
  const char *start = (const char *)data;
  struct arc_span name, value, found;
  size_t at = 0;
  DEMAND(head->length <= size && head->length <= ARC_HEAD_MAX);
  DEMAND(head->status >= 100 && head->status <= 599);
  DEMAND(head->minor == 0 || head->minor == 1);
  while (arc_head_next(head, &at, &name, &value)) {
    DEMAND(name.len && name.at >= start);
    DEMAND(value.at + value.len <= start + head->length);
    DEMAND(!value.len || !memchr(value.at, '\n', value.len));
    char *text = strndup(name.at, name.len);
    DEMAND(text && arc_head_field(head, text, &found) >= 1);
    arc_span_lists(value, "websocket");
    DEMAND(!value.len || found.at >= value.at);
    free(text);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arc_head whole = {0};
  enum arc_head_state state = arc_head_parse(&whole, data, size);
  for (size_t cut = 0; cut <= size;
       cut += cut < EVERY_CUT_MAX || size - cut < 16 ? 1 : STRIDE) {
    check_cut(&whole, state, data, size, cut);
  }
  check_drip(&whole, state, data, size);
  if (state == ARC_HEAD_DONE) {
    check_fields(&whole, data, size);
  }
  return 0;
}
