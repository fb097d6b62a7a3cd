/* SPDX-License-Identifier: MIT */
#include "relay/relay.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/digest.h"
#include "net/connect.h"
#include "net/head.h"
#include "net/ws.h"
#include "relay/classify.h"
#include "util/buf.h"
#include "util/err.h"

enum { KEY_SIZE = 16, READ_SIZE = 16 * 1024, VIA_MAX = 200 };

struct relay_op {
  struct arc_op op;
  struct arc_relayinfo *info;
  int port;
  double answer_timeout;
  struct arc_op *connect;   /* first this, */
  struct arc_stream *line;  /* then this, */
  struct arc_stream *ready; /* then that */
  struct arc_timer impatience;
  struct arc_buf out, in;
  struct arc_head head;
  char key[32]; /* Sec-WebSocket-Key, base64 */
};

static void let_go(struct relay_op *relay) {
  arc_timer_stop(relay->op.loop, &relay->impatience);
  arc_op_free(relay->connect);
  relay->connect = NULL;
  arc_stream_abort(relay->line, NULL);
  relay->line = NULL;
}

static void detach(struct arc_op *op) { let_go((struct relay_op *)op); }

static void destroy(struct arc_op *op) {
  struct relay_op *relay = (struct relay_op *)op;
  let_go(relay);
  arc_stream_abort(relay->ready, NULL);
  arc_relayinfo_unref(relay->info);
  arc_buf_free(&relay->out);
  arc_buf_free(&relay->in);
  free(relay);
}

static void fail(struct relay_op *relay, struct arc_err *err) {
  let_go(relay);
  arc_op_finish(&relay->op, arc_err_at(err, NULL, "upgrade"));
}

static struct arc_err *no_memory(void) {
  return arc_err_new(ARC_E_NOMEM, "out of memory");
}

/* ---- the request -----------------------------------------------------------
 */

static bool make_key(char *to, size_t size) {
  uint8_t bytes[KEY_SIZE];
  struct arc_buf text = {0};
  bool ok = arc_crypto_random(bytes, sizeof bytes) &&
            arc_base64_encode(&text, bytes, sizeof bytes, ARC_BASE64_PADDED) &&
            arc_buf_len(&text) < size;
  if (ok) {
    size_t n = arc_buf_len(&text);
    memcpy(to, arc_buf_head(&text), n);
    to[n] = '\0';
  }
  arc_buf_free(&text);
  return ok;
}

static bool append_header(struct arc_buf *out, const char *name,
                          const struct arc_secret *value) {
  return !value || (arc_buf_text(out, name) && arc_buf_text(out, ": ") &&
                    arc_buf_append(out, value->bytes, value->len) &&
                    arc_buf_text(out, "\r\n"));
}

/* Every header that the relay knows; no extension or subprotocol is offered. */
static bool write_request(struct relay_op *relay) {
  const struct arc_relayinfo *info = relay->info;
  struct arc_buf *out = &relay->out;
  char id[ARC_UUID_SIZE];
  return arc_crypto_uuid(id) && make_key(relay->key, sizeof relay->key) &&
         arc_buf_format(out,
                        "GET /$hc/%s?sb-hc-action=connect&sb-hc-id=%s "
                        "HTTP/1.1\r\n"
                        "Host: %s\r\n"
                        "Upgrade: websocket\r\n"
                        "Connection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: %s\r\n",
                        info->path, id, info->host, relay->key) &&
         append_header(out, "ServiceBusAuthorization", info->access_key) &&
         append_header(out, "Service-Configuration-Token",
                       info->service_token) &&
         arc_buf_format(out,
                        "Microsoft-Guestgateway-Target: localhost:%d\r\n"
                        "User-Agent: arclua/" ARCLUA_VERSION "\r\n\r\n",
                        relay->port);
}

/* ---- the answer ------------------------------------------------------------
 */

static struct arc_err *bad_answer(const char *what) {
  return arc_err_reason("relay.bad-answer", "the answer %s", what);
}

/* RFC 6455 §4.1: base64 of SHA-1 of the key and a fixed id. */
static bool accept_matches(const char *key, struct arc_span value) {
  char text[128];
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned n_digest = 0;
  int n = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                   key);
  struct arc_buf wanted = {0};
  bool same =
      EVP_Digest(text, (size_t)n, digest, &n_digest, EVP_sha1(), NULL) == 1 &&
      arc_base64_encode(&wanted, digest, n_digest, ARC_BASE64_PADDED) &&
      arc_buf_len(&wanted) == value.len &&
      !memcmp(arc_buf_head(&wanted), value.at, value.len);
  arc_buf_free(&wanted);
  return same;
}

/* NULL when the 101 is what RFC 6455 demands of it. */
static struct arc_err *check_upgrade(struct relay_op *relay) {
  const struct arc_head *head = &relay->head;
  struct arc_span value;
  if (head->minor != 1) {
    return bad_answer("is not HTTP/1.1");
  }
  if (arc_head_field(head, "Upgrade", &value) != 1 ||
      !arc_span_equals(value, "websocket")) {
    return bad_answer("does not upgrade to a WebSocket");
  }
  if (!arc_head_field(head, "Connection", &value) ||
      !arc_span_lists(value, "upgrade")) {
    return bad_answer("has no Connection: Upgrade");
  }
  if (arc_head_field(head, "Sec-WebSocket-Accept", &value) != 1 ||
      !accept_matches(relay->key, value)) {
    return bad_answer("has a wrong Sec-WebSocket-Accept");
  }
  if (arc_head_field(head, "Sec-WebSocket-Extensions", &value) ||
      arc_head_field(head, "Sec-WebSocket-Protocol", &value)) {
    return bad_answer("switches on what was not asked for");
  }
  return NULL;
}

static void open_stream(struct relay_op *relay) {
  struct arc_stream *line = relay->line;
  relay->line = NULL;
  arc_timer_stop(relay->op.loop, &relay->impatience);
  arc_stream_want_read(line, NULL, NULL);
  arc_stream_want_write(line, NULL, NULL);
  relay->ready = arc_ws_new(relay->op.loop, line, ARC_WS_CLIENT,
                            arc_buf_head(&relay->in) + relay->head.length,
                            arc_buf_len(&relay->in) - relay->head.length,
                            relay->info->host);
  arc_op_finish(&relay->op, relay->ready ? NULL : no_memory());
}

/* An inspecting proxy that strips Upgrade may also put its own words in place
 * of the relay's, which are known by their tracking id. squid does both. */
static struct arc_err *refusal(const struct arc_head *head) {
  struct arc_err *err =
      arc_relay_classify(head->status, head->reason.at, head->reason.len);
  struct arc_span via;
  if (head->status != 400 || *err->tracking_id ||
      !arc_head_field(head, "Via", &via)) {
    return err;
  }
  arc_err_unref(err);
  err = arc_err_reason("net.proxy-answer",
                       "a TLS-inspecting proxy, '%.*s', lets no web-socket "
                       "through (400)",
                       (int)(via.len < VIA_MAX ? via.len : VIA_MAX), via.at);
  err->status = head->status;
  return err;
}

static void judge(struct relay_op *relay, enum arc_head_state state) {
  const struct arc_head *head = &relay->head;
  if (state == ARC_HEAD_BAD || !head->status ||
      (state == ARC_HEAD_TOO_LARGE && head->status == 101)) {
    fail(relay, bad_answer(state == ARC_HEAD_BAD ? "is not HTTP/1.1"
                                                 : "is too large"));
  } else if (head->status != 101) {
    fail(relay, refusal(head));
  } else {
    struct arc_err *err = check_upgrade(relay);
    if (err) {
      fail(relay, err);
    } else {
      open_stream(relay);
    }
  }
}

static void on_line(void *arg);

/* False when the op has ended. */
static bool receive(struct relay_op *relay) {
  while (true) {
    uint8_t *to = arc_buf_reserve(&relay->in, READ_SIZE);
    ssize_t n = to ? arc_stream_read(relay->line, to, READ_SIZE) : ARC_FAILED;
    if (n == ARC_AGAIN) {
      arc_stream_want_read(relay->line, on_line, relay);
      return true;
    }
    if (n <= 0) {
      fail(relay,
           !to ? no_memory()
           : n ? arc_err_ref(relay->line->err)
               : arc_err_new(ARC_E_CLOSED, "the relay closed the "
                                           "connection before it answered"));
      return false;
    }
    arc_buf_commit(&relay->in, (size_t)n);
    enum arc_head_state state = arc_head_parse(
        &relay->head, arc_buf_head(&relay->in), arc_buf_len(&relay->in));
    if (state != ARC_HEAD_MORE) {
      judge(relay, state);
      return false;
    }
  }
}

static void on_line(void *arg) {
  struct relay_op *relay = arg;
  while (arc_buf_len(&relay->out)) {
    ssize_t n = arc_stream_write(relay->line, arc_buf_head(&relay->out),
                                 arc_buf_len(&relay->out));
    if (n == ARC_AGAIN) {
      arc_stream_want_write(relay->line, on_line, relay);
      break;
    }
    if (n == ARC_FAILED) {
      fail(relay, arc_err_ref(relay->line->err));
      return;
    }
    arc_buf_consume(&relay->out, (size_t)n);
  }
  receive(relay);
}

/* ---- the attempt -----------------------------------------------------------
 */

static void lose_patience(void *arg) {
  struct relay_op *relay = arg;
  if (relay->connect) {
    fail(relay, arc_connect_late(relay->connect));
  } else {
    fail(relay, arc_err_reason("relay.no-answer",
                               "%s did not answer in %g "
                               "seconds",
                               relay->info->host, relay->answer_timeout));
  }
}

static void ask(struct relay_op *relay) {
  if (!write_request(relay)) {
    fail(relay, no_memory());
    return;
  }
  arc_timer_start(relay->op.loop, &relay->impatience,
                  arc_loop_deadline(relay->op.loop, relay->answer_timeout),
                  lose_patience, relay);
  on_line(relay);
}

static void connected(struct arc_op *op, void *arg) {
  struct relay_op *relay = arg;
  if (op->err) {
    fail(relay, arc_err_ref(op->err));
    return;
  }
  relay->line = arc_connect_take(op);
  arc_op_free(relay->connect);
  relay->connect = NULL;
  ask(relay);
}

static bool start(struct relay_op *relay,
                  const struct arc_relay_request *request) {
  char *url = NULL;
  if (asprintf(&url, "https://%s/", relay->info->host) < 0) {
    return false;
  }
  relay->connect = arc_connect_start(relay->op.loop, "relay.connect", url,
                                     request->ca, request->connect_timeout);
  free(url);
  if (!relay->connect) {
    return false;
  }
  relay->connect->notify = connected;
  relay->connect->notify_arg = relay;
  arc_timer_start(relay->op.loop, &relay->impatience,
                  arc_loop_deadline(relay->op.loop, request->connect_timeout),
                  lose_patience, relay);
  return true;
}

static struct relay_op *new_op(struct arc_loop *loop,
                               const struct arc_relay_request *request) {
  static const struct arc_op_class relay_class = {
      .name = "relay.connect", .detach = detach, .destroy = destroy};
  struct relay_op *relay =
      arc_op_new(loop, &relay_class, sizeof *relay, ARC_FOREVER);
  if (relay) {
    relay->info = arc_relayinfo_ref(request->info);
    relay->port = request->port;
    relay->answer_timeout = request->answer_timeout;
    relay->out.secret = true;
  }
  return relay;
}

struct arc_op *arc_relay_connect(struct arc_loop *loop,
                                 const struct arc_relay_request *request) {
  struct relay_op *relay = new_op(loop, request);
  if (relay && !start(relay, request)) {
    arc_op_finish(&relay->op, no_memory());
  }
  return relay ? &relay->op : NULL;
}

struct arc_op *arc_relay_upgrade(struct arc_loop *loop, struct arc_stream *line,
                                 const struct arc_relay_request *request) {
  struct relay_op *relay = new_op(loop, request);
  if (!relay) {
    arc_stream_abort(line, NULL);
    return NULL;
  }
  relay->line = line;
  ask(relay);
  return &relay->op;
}

struct arc_stream *arc_relay_take(struct arc_op *op) {
  struct relay_op *relay = (struct relay_op *)op;
  struct arc_stream *stream = relay->ready;
  relay->ready = NULL;
  return stream;
}
