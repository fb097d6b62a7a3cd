/* SPDX-License-Identifier: MIT */
/* The buffer against a plain array, the cursor, UTF-8 against a grammar,
 * base64 there and back, words of a peer as a message. */
#include "fuzz.h"

#include "crypto/base64.h"
#include "util/buf.h"

enum { MODEL_MAX = 128 * 1024 };

/* RFC 3629 §4, written down as its grammar. */
static size_t utf8_char(const uint8_t *s, size_t n) {
  static const uint8_t rows[][6] = {
      /* first byte from, to; second byte from, to; bytes after that */
      {0x00, 0x7f, 0, 0, 0},       {0xc2, 0xdf, 0x80, 0xbf, 1},
      {0xe0, 0xe0, 0xa0, 0xbf, 2}, {0xe1, 0xec, 0x80, 0xbf, 2},
      {0xed, 0xed, 0x80, 0x9f, 2}, {0xee, 0xef, 0x80, 0xbf, 2},
      {0xf0, 0xf0, 0x90, 0xbf, 3}, {0xf1, 0xf3, 0x80, 0xbf, 3},
      {0xf4, 0xf4, 0x80, 0x8f, 3}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    size_t more = rows[i][4];
    if (s[0] < rows[i][0] || s[0] > rows[i][1] || more >= n) {
      continue;
    }
    bool good = !more || (s[1] >= rows[i][2] && s[1] <= rows[i][3]);
    for (size_t k = 2; k <= more; k++) {
      good = good && s[k] >= 0x80 && s[k] <= 0xbf;
    }
    return good ? more + 1 : 0;
  }
  return 0;
}

static void check_utf8(const uint8_t *data, size_t size) {
  size_t at = 0, step = 1;
  while (at < size && step) {
    step = utf8_char(data + at, size - at);
    at += step;
  }
  DEMAND(arc_utf8_valid((const char *)data, size) == (at == size));
}

static void check_base64(const uint8_t *data, size_t size) {
  struct arc_buf text = {0}, back = {0};
  for (int kind = ARC_BASE64_PADDED; kind <= ARC_BASE64_URL; kind++) {
    DEMAND(arc_base64_encode(&text, data, size, (enum arc_base64)kind));
    DEMAND(arc_base64_decode(&back, (const char *)arc_buf_head(&text),
                             arc_buf_len(&text)));
    DEMAND(arc_buf_len(&back) == size);
    DEMAND(!size || !memcmp(arc_buf_head(&back), data, size));
    arc_buf_consume(&text, arc_buf_len(&text));
    arc_buf_consume(&back, size);
  }
  if (size) {
    arc_base64_decode(&back, (const char *)data, size);
  }
  arc_buf_free(&text);
  arc_buf_free(&back);
}

static void check_cursor(struct fuzz_input in) {
  struct arc_cursor cur = {.at = in.at, .left = in.left};
  struct fuzz_input script = in;
  size_t taken = 0;
  while (script.left && !cur.failed) {
    uint8_t kind = fuzz_byte(&script);
    size_t want = kind & 3 ? (size_t)1 << (kind & 3) : kind >> 2;
    want = (kind & 3) == 1 ? 1 : want;
    uint64_t value = (kind & 3) == 1   ? arc_cursor_u8(&cur)
                     : (kind & 3) == 2 ? arc_cursor_u32(&cur)
                     : (kind & 3) == 3 ? arc_cursor_u64(&cur)
                                       : 0;
    if (!(kind & 3)) {
      arc_cursor_bytes(&cur, want);
    }
    DEMAND(cur.failed == (want > in.left - taken));
    DEMAND(!cur.failed || !value);
    taken += cur.failed ? 0 : want;
    DEMAND(cur.at == in.at + taken && cur.left == in.left - taken);
  }
}

struct model {
  uint8_t bytes[MODEL_MAX];
  size_t len;
};

static void model_append(struct model *model, struct arc_buf *buf, uint8_t kind,
                         size_t n) {
  if (model->len + n > MODEL_MAX) {
    return;
  }
  memset(model->bytes + model->len, kind, n);
  if (kind & 0x40) {
    uint8_t *to = arc_buf_reserve(buf, n + (kind & 7));
    DEMAND(to);
    memset(to, kind, n);
    arc_buf_commit(buf, n);
  } else {
    DEMAND(arc_buf_append(buf, model->bytes + model->len, n));
  }
  model->len += n;
}

static void model_drop(struct model *model, struct arc_buf *buf, uint8_t kind,
                       size_t n) {
  size_t had = n < model->len ? n : model->len;
  if (kind & 0x40) {
    uint8_t *out = malloc(n + 1);
    DEMAND(out && arc_buf_take(buf, out, n) == had);
    DEMAND(!memcmp(out, model->bytes, had));
    free(out);
  } else {
    arc_buf_consume(buf, n);
  }
  memmove(model->bytes, model->bytes + had, model->len - had);
  model->len -= had;
}

static void check_buf(struct fuzz_input in) {
  struct model *model = calloc(1, sizeof *model);
  struct arc_buf buf = {.secret = in.left & 1};
  DEMAND(model);
  while (in.left) {
    uint8_t kind = fuzz_byte(&in);
    size_t n = (size_t)fuzz_byte(&in) << (kind & 7);
    if (kind == 0x55) {
      arc_buf_free(&buf);
      model->len = 0;
    } else if (kind & 0x80) {
      model_append(model, &buf, kind, n);
    } else {
      model_drop(model, &buf, kind, n);
    }
    DEMAND(arc_buf_len(&buf) == model->len);
    DEMAND(!memcmp(arc_buf_head(&buf), model->bytes, model->len));
  }
  arc_buf_free(&buf);
  free(model);
}

/* A server's words before a login, and whatever else becomes a message. */
static void check_words(struct fuzz_input in) {
  char *words = fuzz_text(&in, in.left);
  struct arc_err *err = arc_err_new(ARC_E_UNKNOWN, "%s", words);
  arc_err_track(err, words);
  fuzz_check_error(err);
  for (const char *c = err->tracking_id; *c; c++) {
    DEMAND(*c >= ' ' && *c <= '~');
  }
  arc_err_unref(err);
  free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  check_utf8(data, size);
  check_base64(data, size);
  check_cursor(in);
  check_buf(in);
  check_words(in);
  return 0;
}
