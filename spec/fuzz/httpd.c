/* SPDX-License-Identifier: MIT */
/* The requests of one connection to the emulator, read by the input's script
 * and in one piece: which must say the same. */
#include "line.h"

#include "emulator/httpd.h"

enum { TURNS_MAX = 1 << 20 };

static void finish(struct arc_loop *loop, const struct arc_op *op) {
  for (int turns = 0; !op->done; turns++) {
    DEMAND(turns < TURNS_MAX);
    arc_loop_turn(loop, false);
  }
}

/* Notes the request; true: it asks for another protocol. */
static bool note(struct arc_httpd_call *call, struct arc_buf *story) {
  const char *at = (const char *)arc_buf_head(&call->headers);
  const char *end = at + arc_buf_len(&call->headers);
  bool upgrade = call->upgrade;
  arc_buf_format(story, "[%s %zu %d ", call->method, call->count, upgrade);
  arc_buf_append(story, arc_buf_head(&call->target),
                 arc_buf_len(&call->target));
  for (size_t i = 0; i < 2 * call->count; i++) {
    const char *stop = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
    DEMAND(stop);
    arc_buf_format(story, "|%s", at);
    at = stop + 1;
  }
  DEMAND(at == end);
  DEMAND(arc_buf_len(&call->headers) <= ARC_HTTPD_HEADERS);
  DEMAND(arc_buf_len(&call->body) <= ARC_HTTPD_BODY);
  arc_buf_text(story, "|");
  arc_buf_append(story, arc_buf_head(&call->body), arc_buf_len(&call->body));
  arc_buf_text(story, "]");
  arc_httpd_call_free(call);
  return upgrade;
}

static void note_error(const struct arc_err *err, struct arc_buf *story) {
  fuzz_check_error(err);
  DEMAND(err->code == ARC_E_CLOSED || err->status == 400 ||
         err->status == 413 || err->status == 431);
  arc_buf_format(story, "{%d %d}", (int)err->code, err->status);
}

/* True: there may be more requests. */
static bool answer(struct arc_loop *loop, struct arc_httpd *h, bool upgrade,
                   struct arc_buf *story) {
  static const struct arc_answer ok = {.status = 200, .reason = "OK"};
  struct arc_op *op = upgrade ? arc_httpd_upgrade(h, NULL, ARC_FOREVER)
                              : arc_httpd_respond(h, &ok, ARC_FOREVER);
  DEMAND(op);
  finish(loop, op);
  bool more = !op->err && !upgrade;
  arc_buf_format(story, "<%d>", op->err != NULL);
  arc_op_free(op);
  return more;
}

static void serve(struct fuzz_input in, struct script sizes,
                  struct arc_buf *story) {
  struct arc_buf sent = {0};
  struct arc_loop *loop = arc_loop_new();
  DEMAND(loop);
  struct arc_httpd *h = arc_httpd_new(&line_new(loop, in, sizes, &sent)->s);
  bool more = true;
  DEMAND(h);
  while (more) {
    struct arc_op *op = arc_httpd_request(h, ARC_FOREVER);
    DEMAND(op);
    finish(loop, op);
    struct arc_httpd_call *call = arc_httpd_taken(op);
    if (op->err) {
      note_error(op->err, story);
    }
    more = call && answer(loop, h, note(call, story), story);
    arc_op_free(op);
  }
  arc_httpd_close(h);
  while (arc_loop_alive(loop, ARC_N_STREAMS)) {
    arc_loop_turn(loop, true);
  }
  arc_loop_free(loop);
  arc_buf_free(&sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  struct script sizes = line_script(&in);
  struct arc_buf whole = {0}, parts = {0};
  serve(in, (struct script){0}, &whole);
  serve(in, sizes, &parts);
  DEMAND(arc_buf_len(&whole) == arc_buf_len(&parts));
  DEMAND(
      !memcmp(arc_buf_head(&whole), arc_buf_head(&parts), arc_buf_len(&whole)));
  arc_buf_free(&whole);
  arc_buf_free(&parts);
  return 0;
}
