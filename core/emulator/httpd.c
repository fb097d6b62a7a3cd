/* SPDX-License-Identifier: MIT */
#include "emulator/httpd.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <http_parser.h>
#include <openssl/evp.h>

#include "crypto/base64.h"
#include "util/err.h"

enum { CHUNK = 16 * 1024, EARLY_MAX = 64 * 1024 };

struct httpd_op {
  struct arc_op op;
  struct arc_httpd *h; /* NULL once it has left the connection */
  struct arc_httpd_call *request;
  struct arc_stream *stream;
  struct arc_buf early; /* came behind the upgrade's head */
  bool keep;            /* drain: what comes is not thrown away */
};

struct arc_httpd {
  struct arc_stream *stream;
  struct httpd_op *op;
  struct arc_buf in; /* read, not parsed */
  struct arc_buf out;
  http_parser parser;
  struct arc_httpd_call *request; /* being parsed */
  char key[64]; /* the last request's Sec-WebSocket-Key, or empty */
  size_t head_size;
  int status;    /* to answer to a broken request */
  bool complete; /* request is */
  bool in_value; /* the parser was last in a header's value */
  bool last;     /* no more requests after this one */
};

/* ---- requests ---- */

void arc_httpd_call_free(struct arc_httpd_call *request) {
  if (request) {
    arc_buf_free(&request->target);
    arc_buf_free(&request->headers);
    arc_buf_free(&request->body);
    free(request);
  }
}

static int take(struct arc_httpd *h, struct arc_buf *to, const char *at,
                size_t n) {
  h->head_size += n;
  if (h->head_size > ARC_HTTPD_HEADERS) {
    h->status = 431;
    return -1;
  }
  return arc_buf_append(to, at, n) ? 0 : -1;
}

static int on_url(http_parser *p, const char *at, size_t n) {
  struct arc_httpd *h = p->data;
  return take(h, &h->request->target, at, n);
}

/* Names and values come in pieces; a NUL goes between them, so a peer's NUL
 * must not get in (the parser refuses it in names; here for values). */
static int on_field(http_parser *p, const char *at, size_t n) {
  struct arc_httpd *h = p->data;
  if (h->in_value && take(h, &h->request->headers, "", 1)) {
    return -1;
  }
  h->in_value = false;
  return take(h, &h->request->headers, at, n);
}

static int on_value(http_parser *p, const char *at, size_t n) {
  struct arc_httpd *h = p->data;
  if (memchr(at, '\0', n)) {
    return -1;
  }
  if (!h->in_value) {
    if (take(h, &h->request->headers, "", 1)) {
      return -1;
    }
    h->request->count++;
  }
  h->in_value = true;
  return take(h, &h->request->headers, at, n);
}

static int on_body(http_parser *p, const char *at, size_t n) {
  struct arc_httpd *h = p->data;
  if (arc_buf_len(&h->request->body) + n > ARC_HTTPD_BODY) {
    h->status = 413;
    return -1;
  }
  return arc_buf_append(&h->request->body, at, n) ? 0 : -1;
}

static int on_complete(http_parser *p) {
  struct arc_httpd *h = p->data;
  if (h->in_value && take(h, &h->request->headers, "", 1)) {
    return -1;
  }
  h->complete = true;
  h->request->method = http_method_str((enum http_method)p->method);
  h->request->upgrade = p->upgrade;
  h->last = !http_should_keep_alive(p) && !p->upgrade;
  http_parser_pause(p, 1); /* the next request stays in the buffer */
  return 0;
}

static struct arc_err *parse(struct arc_httpd *h) {
  http_parser_settings settings;
  http_parser_settings_init(&settings);
  settings.on_url = on_url;
  settings.on_header_field = on_field;
  settings.on_header_value = on_value;
  settings.on_body = on_body;
  settings.on_message_complete = on_complete;
  size_t n = http_parser_execute(&h->parser, &settings,
                                 (const char *)arc_buf_head(&h->in),
                                 arc_buf_len(&h->in));
  arc_buf_consume(&h->in, n);
  enum http_errno code = HTTP_PARSER_ERRNO(&h->parser);
  if (h->complete || code == HPE_OK) {
    return NULL;
  }
  struct arc_err *err = arc_err_new(
      h->status == 400 ? ARC_E_PROTOCOL : ARC_E_LIMIT,
      "not a request that can be served: %s", http_errno_description(code));
  err->status = h->status;
  return err;
}

static bool begin(struct arc_httpd *h) {
  arc_httpd_call_free(h->request);
  h->request = calloc(1, sizeof *h->request);
  http_parser_init(&h->parser, HTTP_REQUEST);
  h->parser.data = h;
  h->head_size = 0;
  h->status = 400;
  h->complete = false;
  h->in_value = false;
  return h->request != NULL;
}

/* ---- operations ---- */

static struct httpd_op *leave(struct arc_httpd *h) {
  struct httpd_op *op = h->op;
  h->op = NULL;
  op->h = NULL;
  if (h->stream) {
    arc_stream_want_read(h->stream, NULL, NULL);
    arc_stream_want_write(h->stream, NULL, NULL);
  }
  return op;
}

static void finish(struct arc_httpd *h, struct arc_err *err) {
  arc_op_finish(&leave(h)->op, err);
}

static void detach(struct arc_op *op) {
  struct httpd_op *mine = (struct httpd_op *)op;
  if (mine->h) {
    leave(mine->h);
  }
}

static void destroy(struct arc_op *op) {
  struct httpd_op *mine = (struct httpd_op *)op;
  arc_httpd_call_free(mine->request);
  arc_stream_close(mine->stream);
  arc_buf_free(&mine->early);
  free(mine);
}

static struct httpd_op *
start(struct arc_httpd *h, const struct arc_op_class *cls, int64_t deadline) {
  struct httpd_op *op = arc_op_new(h->stream->loop, cls, sizeof *op, deadline);
  if (op) {
    op->h = h;
    h->op = op;
  }
  return op;
}

static struct arc_err *no_memory(void) {
  return arc_err_new(ARC_E_NOMEM, "out of memory");
}

/* The header's value, or "". */
static const char *find(const struct arc_httpd_call *request,
                        const char *header) {
  const char *at = (const char *)arc_buf_head(&request->headers);
  for (size_t i = 0; i < request->count; i++) {
    const char *value = at + strlen(at) + 1;
    if (!strcasecmp(at, header)) {
      return value;
    }
    at = value + strlen(value) + 1;
  }
  return "";
}

static void give(struct arc_httpd *h) {
  const char *key = find(h->request, "Sec-WebSocket-Key");
  h->key[0] = '\0';
  if (strlen(key) < sizeof h->key) {
    memcpy(h->key, key, strlen(key) + 1);
  }
  h->op->request = h->request;
  h->request = NULL;
  finish(h, NULL);
}

/* Reads one chunk into the buffer: as arc_stream_read. */
static ssize_t fill(struct arc_httpd *h) {
  uint8_t *room = arc_buf_reserve(&h->in, CHUNK);
  if (!room) {
    return arc_stream_fail(h->stream, no_memory());
  }
  ssize_t n = arc_stream_read(h->stream, room, CHUNK);
  if (n > 0) {
    arc_buf_commit(&h->in, (size_t)n);
  }
  return n;
}

/* Goes on with what was read; true: the operation is finished. */
static bool parsed(struct arc_httpd *h) {
  if (!arc_buf_len(&h->in)) {
    return false;
  }
  struct arc_err *err = parse(h);
  if (err) {
    finish(h, err);
  } else if (h->complete) {
    give(h);
  }
  return err || !h->op;
}

/* The connection ended instead: an error once a request had begun. */
static struct arc_err *why_ended(struct arc_httpd *h, ssize_t n) {
  if (n == ARC_FAILED) {
    return arc_err_ref(h->stream->err);
  }
  return h->head_size ? arc_err_new(ARC_E_CLOSED, "the request was cut off")
                      : NULL;
}

static void request_ready(void *arg) {
  struct arc_httpd *h = arg;
  while (!parsed(h)) {
    ssize_t n = fill(h);
    if (n == ARC_AGAIN) {
      arc_stream_want_read(h->stream, request_ready, h);
      return;
    }
    if (n <= 0) {
      finish(h, why_ended(h, n));
      return;
    }
  }
}

struct arc_op *arc_httpd_request(struct arc_httpd *h, int64_t deadline) {
  static const struct arc_op_class cls = {"server.request", detach, destroy};
  struct httpd_op *op = start(h, &cls, deadline);
  if (!op) {
    return NULL;
  }
  if (h->last) {
    finish(h, NULL);
  } else if (!begin(h)) {
    finish(h, no_memory());
  } else {
    request_ready(h);
  }
  return &op->op;
}

struct arc_httpd_call *arc_httpd_taken(struct arc_op *op) {
  struct httpd_op *mine = (struct httpd_op *)op;
  struct arc_httpd_call *request = mine->request;
  mine->request = NULL;
  return request;
}

/* Sends what is in `out`; then `sent` goes on. */
static bool send_out(struct arc_httpd *h, void (*again)(void *)) {
  while (arc_buf_len(&h->out)) {
    ssize_t n = arc_stream_write(h->stream, arc_buf_head(&h->out),
                                 arc_buf_len(&h->out));
    if (n == ARC_AGAIN) {
      arc_stream_want_write(h->stream, again, h);
      return false;
    }
    if (n < 0) {
      finish(h, arc_err_ref(h->stream->err));
      return false;
    }
    arc_buf_consume(&h->out, (size_t)n);
  }
  return true;
}

static void respond_ready(void *arg) {
  struct arc_httpd *h = arg;
  if (send_out(h, respond_ready)) {
    finish(h, NULL);
  }
}

static bool bodiless(int status) {
  return status < 200 || status == 204 || status == 304;
}

static bool write_answer(struct arc_httpd *h, const struct arc_answer *a) {
  bool ok =
      arc_buf_format(&h->out, "HTTP/1.1 %d %s\r\n", a->status, a->reason) &&
      arc_buf_append(&h->out, a->headers, a->n_headers);
  if (ok && h->last) {
    ok = arc_buf_text(&h->out, "Connection: close\r\n");
  }
  if (ok && bodiless(a->status)) {
    return arc_buf_text(&h->out, "\r\n");
  }
  return ok &&
         arc_buf_format(&h->out, "Content-Length: %zu\r\n\r\n", a->n_body) &&
         arc_buf_append(&h->out, a->body, a->n_body);
}

struct arc_op *arc_httpd_respond(struct arc_httpd *h,
                                 const struct arc_answer *answer,
                                 int64_t deadline) {
  static const struct arc_op_class cls = {"server.respond", detach, destroy};
  struct httpd_op *op = start(h, &cls, deadline);
  if (!op) {
    return NULL;
  }
  h->last = h->last || answer->close;
  if (write_answer(h, answer)) {
    respond_ready(h);
  } else {
    finish(h, no_memory());
  }
  return &op->op;
}

/* ---- WebSocket ---- */

/* RFC 6455 §4.2.2 */
static bool accept_key(const char *key, struct arc_buf *to) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  struct arc_buf text = {0};
  unsigned char hash[EVP_MAX_MD_SIZE];
  size_t n = 0;
  bool ok = arc_buf_text(&text, key) && arc_buf_text(&text, guid) &&
            EVP_Q_digest(NULL, "SHA1", NULL, arc_buf_head(&text),
                         arc_buf_len(&text), hash, &n) == 1 &&
            arc_base64_encode(to, hash, n, ARC_BASE64_PADDED);
  arc_buf_free(&text);
  return ok;
}

static void upgrade_ready(void *arg) {
  struct arc_httpd *h = arg;
  if (!send_out(h, upgrade_ready)) {
    return;
  }
  struct httpd_op *op = leave(h);
  op->stream = h->stream;
  h->stream = NULL;
  op->early = h->in;
  h->in = (struct arc_buf){0};
  arc_op_finish(&op->op, NULL);
}

struct arc_op *arc_httpd_upgrade(struct arc_httpd *h, const char *protocol,
                                 int64_t deadline) {
  static const struct arc_op_class cls = {"server.upgrade", detach, destroy};
  struct httpd_op *op = start(h, &cls, deadline);
  if (!op) {
    return NULL;
  }
  if (!h->key[0]) {
    finish(h, arc_err_new(ARC_E_PROTOCOL, "no usable Sec-WebSocket-Key"));
  } else if (arc_buf_text(&h->out, "HTTP/1.1 101 Switching Protocols\r\n"
                                   "Upgrade: websocket\r\n"
                                   "Connection: Upgrade\r\n"
                                   "Sec-WebSocket-Accept: ") &&
             accept_key(h->key, &h->out) &&
             (!protocol ||
              arc_buf_format(&h->out, "\r\nSec-WebSocket-Protocol: %s",
                             protocol)) &&
             arc_buf_text(&h->out, "\r\n\r\n")) {
    upgrade_ready(h);
  } else {
    finish(h, no_memory());
  }
  return &op->op;
}

struct arc_stream *arc_httpd_stream(struct arc_op *op) {
  struct httpd_op *mine = (struct httpd_op *)op;
  struct arc_stream *stream = mine->stream;
  mine->stream = NULL;
  return stream;
}

const struct arc_buf *arc_httpd_early(const struct arc_op *op) {
  return &((const struct httpd_op *)op)->early;
}

/* ---- the end ---- */

/* True: more than a waiting peer may send. */
static bool too_much(struct arc_httpd *h) {
  if (!h->op->keep) {
    arc_buf_free(&h->in);
  }
  return arc_buf_len(&h->in) > EARLY_MAX;
}

static void drain_ready(void *arg) {
  struct arc_httpd *h = arg;
  ssize_t n = 1;
  for (int turn = 0; n > 0 && turn < 16; turn++) { // then others have theirs
    n = fill(h);
    if (too_much(h)) {
      finish(h, arc_err_new(ARC_E_LIMIT, "the peer does not wait"));
      return;
    }
  }
  if (n > 0 || n == ARC_AGAIN) {
    arc_stream_want_read(h->stream, drain_ready, h);
  } else {
    finish(h, NULL);
  }
}

struct arc_op *arc_httpd_drain(struct arc_httpd *h, bool keep,
                               int64_t deadline) {
  static const struct arc_op_class cls = {"server.drain", detach, destroy};
  struct httpd_op *op = start(h, &cls, deadline);
  if (op) {
    op->keep = keep;
    drain_ready(h);
  }
  return op ? &op->op : NULL;
}

struct arc_httpd *arc_httpd_new(struct arc_stream *stream) {
  struct arc_httpd *h = calloc(1, sizeof *h);
  if (!h) {
    arc_stream_abort(stream, NULL);
    return NULL;
  }
  h->stream = stream;
  h->out.secret = true; /* answers carry tokens */
  h->in.secret = true;  /* requests do, too */
  return h;
}

bool arc_httpd_busy(const struct arc_httpd *h) {
  return h->op || !h->stream; // or it has become a WebSocket
}

const char *arc_httpd_peer(const struct arc_httpd *h) {
  return h->stream ? h->stream->name : "";
}

static struct arc_stream *dissolve(struct arc_httpd *h) {
  if (h->op) {
    finish(h, arc_err_new(ARC_E_CLOSED, "the connection was closed"));
  }
  struct arc_stream *stream = h->stream;
  arc_httpd_call_free(h->request);
  arc_buf_free(&h->in);
  arc_buf_free(&h->out);
  free(h);
  return stream;
}

void arc_httpd_close(struct arc_httpd *h) {
  if (h) {
    arc_stream_close(dissolve(h));
  }
}

void arc_httpd_abort(struct arc_httpd *h) {
  if (h) {
    arc_stream_abort(dissolve(h), NULL);
  }
}
