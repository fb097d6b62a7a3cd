/* SPDX-License-Identifier: MIT */
/* Frames passed between a sender and a listener, in any splits. Input: options,
 * the budget, how much is the sender's, the script's sizes, then the bytes of
 * the sender and of the listener. */
#include "line.h"

#include "emulator/bridge.h"
#include "net/wshead.h"

enum { TURNS_MAX = 1 << 20 };

/* The messages in frames, up to a Close, nonsense or the end: one after the
 * other, each with its type before it and its end behind it. */
struct story {
  struct arc_buf text;
  uint64_t bytes; /* of messages */
  bool broken, closed;
  uint8_t close[ARC_WS_CONTROL_MAX];
  size_t n_close;
};

static void tell(struct story *story, const struct arc_wshead *head,
                 const uint8_t *payload, size_t n) {
  uint8_t *to = arc_buf_reserve(&story->text, n + 1);
  DEMAND(to);
  if (head->opcode == ARC_WSOP_CLOSE) {
    story->closed = true;
    story->n_close = n;
    to = story->close;
  }
  memcpy(to, payload, n);
  for (size_t i = 0; head->masked && i < n; i++) {
    to[i] = payload[i] ^ head->mask[i % 4];
  }
  if (!(head->opcode & 8)) {
    arc_buf_commit(&story->text, n);
    story->bytes += n;
  }
}

static struct story read_all(struct fuzz_input in, bool masked) {
  struct story story = {0};
  bool inside = false;
  while (in.left && !story.closed && !story.broken) {
    struct arc_wshead head;
    const char *why = NULL;
    int n = arc_wshead_read(in.at, in.left, &head, &why);
    bool data = n > 0 && !(head.opcode & 8);
    bool more = n > 0 && head.opcode == ARC_WSOP_CONTINUATION;
    story.broken =
        n < 0 || (n > 0 && head.masked != masked) || (data && inside != more);
    if (story.broken || !n) {
      break;
    }
    in.at += n;
    in.left -= (size_t)n;
    size_t have = head.length < in.left ? (size_t)head.length : in.left;
    if (!data && have < head.length) {
      break;
    }
    if (data && !more) {
      arc_buf_format(&story.text, "<%d:", head.opcode);
    }
    tell(&story, &head, in.at, have);
    if (data && head.fin && have == head.length) {
      arc_buf_text(&story.text, ">");
    }
    inside = data ? !head.fin : inside;
    in.at += have;
    in.left -= have;
  }
  return story;
}

/* What left towards one side is of the other's messages, in order. */
static void check_sent(const struct story *from, const struct arc_buf *sent) {
  struct fuzz_input in = {arc_buf_head(sent), arc_buf_len(sent)};
  struct story to = read_all(in, false);
  size_t n = arc_buf_len(&to.text);
  DEMAND(!to.broken && n <= arc_buf_len(&from->text));
  DEMAND(!memcmp(arc_buf_head(&to.text), arc_buf_head(&from->text), n));
  DEMAND(!to.closed || to.n_close != 1);
  arc_buf_free(&to.text);
}

static void check_report(const struct arc_bridge_report *told,
                         const struct story *said) {
  for (int i = 0; i < 2; i++) {
    DEMAND(told->bytes[i] <= said[i].bytes);
  }
  DEMAND(told->first >= -1 && told->first <= ARC_BRIDGE_LISTENER);
  DEMAND((told->first < 0) == !told->how);
}

/* Until its end; cut: it is cancelled after so many turns. */
static void pass(struct arc_loop *loop, struct arc_op *op, int cut) {
  for (int turns = 0; !op->done; turns++) {
    DEMAND(turns < TURNS_MAX);
    if (turns == cut) {
      arc_op_cancel(op, arc_err_new(ARC_E_CANCELLED, "cancelled"));
    } else {
      arc_loop_turn(loop, false);
    }
  }
}

static struct arc_op *open_bridge(struct arc_loop *loop,
                                  const struct fuzz_input in[2],
                                  struct script sizes, uint8_t options,
                                  struct arc_buf *sent, size_t budget) {
  struct arc_bridge_rules rules = {
      .budget = budget, .patience = 10000, .reset = options & 1};
  struct arc_bridge_side sides[2];
  for (int i = 0; i < 2; i++) {
    size_t early = options & (2 << i) ? in[i].left / 2 : 0;
    struct fuzz_input late = {in[i].at + early, in[i].left - early};
    struct line *line = line_new(loop, late, sizes, &sent[i]);
    line->broken = options & (8 << i);
    sides[i] = (struct arc_bridge_side){&line->s, in[i].at, early};
  }
  struct arc_op *op = arc_bridge(sides, &rules);
  DEMAND(op);
  return op;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  uint8_t options = fuzz_byte(&in);
  size_t budget = (size_t)fuzz_byte(&in) * 16 + 1;
  size_t share = fuzz_byte(&in);
  struct script sizes = line_script(&in);
  size_t mine = in.left * share / 255;
  struct fuzz_input both[2] = {{in.at, mine}, {in.at + mine, in.left - mine}};
  struct arc_buf sent[2] = {0};
  struct story said[2] = {read_all(both[0], true), read_all(both[1], true)};
  struct arc_loop *loop = arc_loop_new();
  DEMAND(loop);
  struct arc_op *op = open_bridge(loop, both, sizes, options, sent, budget);
  pass(loop, op, options & 128 ? options >> 5 & 3 : -1);
  check_report(arc_bridge_told(op), said);
  check_sent(&said[0], &sent[1]);
  check_sent(&said[1], &sent[0]);
  arc_op_free(op);
  while (arc_loop_alive(loop, ARC_N_STREAMS)) {
    arc_loop_turn(loop, true);
  }
  arc_loop_free(loop);
  for (int i = 0; i < 2; i++) {
    arc_buf_free(&sent[i]);
    arc_buf_free(&said[i].text);
  }
  return 0;
}
