/* SPDX-License-Identifier: MIT */
/* A guarded command's announcement in its stderr, whole and in pieces. The
 * first byte: the size of the pieces. The word is "arclua-5eed". */
#include "fuzz.h"

#include "ssh/guard.h"

static const char WORD[] = "arclua-5eed";

static long filter(struct fuzz_input in, size_t piece, struct arc_buf *out) {
  struct arc_guard guard = {0};
  memcpy(guard.word, WORD, sizeof WORD);
  while (in.left) {
    size_t n = piece < in.left ? piece : in.left;
    arc_guard_filter(&guard, in.at, n, out);
    in.at += n;
    in.left -= n;
  }
  arc_guard_flush(&guard, out);
  long id = guard.id;
  DEMAND(id == 0 || (id > 1 && guard.heard));
  arc_guard_free(&guard);
  return id;
}

/* What comes out is what went in, but for one line at most. */
static void check_out(struct fuzz_input in, const struct arc_buf *out) {
  const uint8_t *got = arc_buf_head(out);
  size_t n = arc_buf_len(out);
  const uint8_t *word = memmem(in.at, in.left, WORD, sizeof WORD - 1);
  size_t same = word ? (size_t)(word - in.at) : in.left;
  DEMAND(n >= same && n <= in.left && !memcmp(got, in.at, same));
  size_t gone = in.left - n;
  DEMAND(!memcmp(got + same, in.at + same + gone, n - same));
  DEMAND(gone == 0 || (gone > sizeof WORD && in.at[same + gone - 1] == '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  size_t piece = (size_t)fuzz_byte(&in) + 1;
  struct arc_buf whole = {0};
  if (!in.left) {
    return 0;
  }
  long id = filter(in, in.left, &whole);
  check_out(in, &whole);
  size_t pieces[] = {1, piece};
  for (size_t i = 0; i < 2; i++) {
    struct arc_buf out = {0};
    DEMAND(filter(in, pieces[i], &out) == id);
    DEMAND(arc_buf_len(&out) == arc_buf_len(&whole));
    DEMAND(
        !memcmp(arc_buf_head(&out), arc_buf_head(&whole), arc_buf_len(&whole)));
    arc_buf_free(&out);
  }
  arc_buf_free(&whole);
  return 0;
}
