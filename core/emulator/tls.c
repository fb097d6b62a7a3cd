/* SPDX-License-Identifier: MIT */
#include "emulator/tls.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "util/err.h"

enum { LINGER_MS = 5000 };

struct arc_tls_server {
  unsigned refs;
  SSL_CTX *ctx;
  BIO_METHOD *method; /* a BIO whose data is the transport */
};

struct tls {
  struct arc_stream stream;
  struct arc_tls_server *server;
  struct arc_stream *transport;
  SSL *ssl;
  struct arc_timer timer; /* of an orderly close */
  /* OpenSSL may hold plaintext while the descriptor is silent: only after a
   * read that wanted more bytes is the transport worth waiting for. */
  bool drained;
  bool read_wants_write; /* a handshake flight is waiting to leave */
  bool write_wants_read;
  bool ended;    /* the peer said close_notify */
  bool said_end; /* we did, or cannot any more */
};

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *to, size_t n, size_t *got) {
  struct tls *t = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  ssize_t rc = arc_stream_read(t->transport, to, n);
  *got = rc > 0 ? (size_t)rc : 0;
  if (rc == ARC_AGAIN) {
    BIO_set_retry_read(bio);
  }
  return rc > 0;
}

static int bio_write(BIO *bio, const char *from, size_t n, size_t *put) {
  struct tls *t = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  ssize_t rc = arc_stream_write(t->transport, from, n);
  *put = rc > 0 ? (size_t)rc : 0;
  if (rc == ARC_AGAIN) {
    BIO_set_retry_write(bio);
  }
  return rc > 0;
}

static long bio_ctrl(BIO *bio, int cmd, long larg, void *parg) {
  (void)bio, (void)larg, (void)parg;
  return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

static BIO_METHOD *make_method(void) {
  BIO_METHOD *method =
      BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "arc_stream");
  if (method) {
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
  }
  return method;
}

/* ---- the server ---- */

static bool use_texts(SSL_CTX *ctx, const char *cert, const char *key) {
  BIO *bio = BIO_new_mem_buf(cert, -1);
  X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  bio = BIO_new_mem_buf(key, -1);
  EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  bool ok = x509 && pkey && SSL_CTX_use_certificate(ctx, x509) == 1 &&
            SSL_CTX_use_PrivateKey(ctx, pkey) == 1 &&
            SSL_CTX_check_private_key(ctx) == 1;
  X509_free(x509);
  EVP_PKEY_free(pkey);
  return ok;
}

/* One protocol is spoken; a client that offers others only (h2) is told so. */
static int choose_alpn(SSL *ssl, const unsigned char **out,
                       unsigned char *n_out, const unsigned char *in,
                       unsigned n_in, void *arg) {
  static const unsigned char ours[] = "\x08http/1.1";
  (void)ssl, (void)arg;
  unsigned char *chosen = NULL;
  if (SSL_select_next_proto(&chosen, n_out, ours, sizeof ours - 1, in, n_in) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

static bool set_up(SSL_CTX *ctx, const char *cert, const char *key) {
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_read_ahead(ctx, 1); /* one recv a record instead of two */
  SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
  return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"arclua",
                                        6) == 1 &&
         use_texts(ctx, cert, key);
}

struct arc_tls_server *arc_tls_server_new(const char *cert, const char *key,
                                          struct arc_err **err) {
  struct arc_tls_server *server = calloc(1, sizeof *server);
  if (!server) {
    *err = arc_err_new(ARC_E_NOMEM, "out of memory");
    return NULL;
  }
  server->refs = 1;
  server->ctx = SSL_CTX_new(TLS_server_method());
  server->method = make_method();
  if (!server->ctx || !server->method || !set_up(server->ctx, cert, key)) {
    unsigned long code = ERR_peek_last_error();
    *err = arc_err_new(ARC_E_CONFIG, "cannot use certificate and key: %s",
                       code ? ERR_reason_error_string(code) : "no PEM text");
    ERR_clear_error();
    arc_tls_server_unref(server);
    return NULL;
  }
  return server;
}

void arc_tls_server_unref(struct arc_tls_server *server) {
  if (server && --server->refs == 0) {
    SSL_CTX_free(server->ctx);
    BIO_meth_free(server->method);
    free(server);
  }
}

/* ---- the stream ---- */

static void transport_ready(void *arg) {
  struct tls *t = arg;
  arc_stream_readable(&t->stream);
  arc_stream_writable(&t->stream);
}

static ssize_t fail(struct tls *t) {
  if (t->transport->err) {
    return arc_stream_fail(&t->stream, arc_err_ref(t->transport->err));
  }
  unsigned long code = ERR_peek_last_error();
  bool cut =
      !code || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  const char *text = cut ? NULL : ERR_reason_error_string(code);
  ERR_clear_error();
  return arc_stream_fail(
      &t->stream,
      cut ? arc_err_new(ARC_E_CLOSED, "the peer went away without a word")
          : arc_err_at(arc_err_new(ARC_E_TLS, "TLS: %s",
                                   text ? text : "unknown error"),
                       NULL, "tls"));
}

static ssize_t tls_read(struct arc_stream *s, void *to, size_t n) {
  struct tls *t = (struct tls *)s;
  if (s->err) {
    return ARC_FAILED;
  }
  if (t->ended) {
    return 0;
  }
  ERR_clear_error();
  int rc = SSL_read(t->ssl, to, n > INT_MAX ? INT_MAX : (int)n);
  t->drained = false;
  t->read_wants_write = false;
  if (rc > 0) {
    return rc;
  }
  switch (SSL_get_error(t->ssl, rc)) {
  case SSL_ERROR_WANT_READ:
    t->drained = true;
    return ARC_AGAIN;
  case SSL_ERROR_WANT_WRITE:
    t->read_wants_write = true;
    return ARC_AGAIN;
  case SSL_ERROR_ZERO_RETURN:
    t->ended = true;
    return 0;
  default:
    t->said_end = true;
    return fail(t);
  }
}

static ssize_t tls_write(struct arc_stream *s, const void *from, size_t n) {
  struct tls *t = (struct tls *)s;
  if (s->err) {
    return ARC_FAILED;
  }
  ERR_clear_error();
  int rc = SSL_write(t->ssl, from, n > INT_MAX ? INT_MAX : (int)n);
  t->write_wants_read = false;
  if (SSL_has_pending(t->ssl)) {
    t->drained = false; // what ended the handshake brought data along
  }
  if (rc > 0) {
    return rc;
  }
  switch (SSL_get_error(t->ssl, rc)) {
  case SSL_ERROR_WANT_READ:
    t->write_wants_read = true;
    return ARC_AGAIN;
  case SSL_ERROR_WANT_WRITE:
    return ARC_AGAIN;
  default:
    t->said_end = true;
    return fail(t);
  }
}

static void tls_want_read(struct arc_stream *s) {
  struct tls *t = (struct tls *)s;
  if (s->err || t->ended || (!t->drained && !t->read_wants_write)) {
    arc_stream_readable(s);
  } else if (t->read_wants_write) {
    arc_stream_want_write(t->transport, transport_ready, t);
  } else {
    arc_stream_want_read(t->transport, transport_ready, t);
  }
}

static void tls_want_write(struct arc_stream *s) {
  struct tls *t = (struct tls *)s;
  if (s->err) {
    arc_stream_writable(s);
  } else if (t->write_wants_read) {
    arc_stream_want_read(t->transport, transport_ready, t);
  } else {
    arc_stream_want_write(t->transport, transport_ready, t);
  }
}

/* Sends close_notify; true when it has left or never will. */
static bool say_end(struct tls *t) {
  if (!t->said_end && SSL_is_init_finished(t->ssl)) {
    ERR_clear_error();
    int rc = SSL_shutdown(t->ssl);
    if (rc < 0 && SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_WRITE) {
      return false;
    }
    ERR_clear_error();
  }
  t->said_end = true;
  return true;
}

static void shutdown_ready(void *arg) {
  struct tls *t = arg;
  if (!say_end(t)) {
    arc_stream_want_write(t->transport, shutdown_ready, t);
  }
  arc_stream_writable(&t->stream);
}

static void tls_shutdown(struct arc_stream *s) { shutdown_ready(s); }

static void destroy(struct tls *t) {
  arc_timer_stop(t->stream.loop, &t->timer);
  SSL_free(t->ssl);
  arc_tls_server_unref(t->server);
  arc_stream_fini(&t->stream);
  free(t);
}

static void closed(void *arg) {
  struct tls *t = arg;
  struct arc_loop *loop = t->stream.loop;
  arc_stream_close(t->transport);
  destroy(t);
  arc_loop_count(loop, ARC_N_LINGERS, -1);
}

static void close_ready(void *arg) {
  struct tls *t = arg;
  if (say_end(t)) {
    closed(t);
  } else {
    arc_stream_want_write(t->transport, close_ready, t);
  }
}

static void tls_close(struct arc_stream *s) {
  struct tls *t = (struct tls *)s;
  arc_loop_count(s->loop, ARC_N_LINGERS, 1);
  arc_stream_want_read(t->transport, NULL, NULL);
  arc_timer_start(s->loop, &t->timer, arc_loop_now(s->loop) + LINGER_MS, closed,
                  t);
  close_ready(t);
}

static void tls_abort(struct arc_stream *s, struct arc_err *why) {
  struct tls *t = (struct tls *)s;
  arc_stream_abort(t->transport, why);
  destroy(t);
}

static bool tls_held_up(const struct arc_stream *s) {
  return arc_stream_held_up(((const struct tls *)s)->transport);
}

static const struct arc_stream_class tls_class = {
    .kind = "tls-server",
    .read = tls_read,
    .write = tls_write,
    .want_read = tls_want_read,
    .want_write = tls_want_write,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .abort = tls_abort,
    .held_up = tls_held_up,
};

struct arc_stream *arc_tls_accept(struct arc_tls_server *server,
                                  struct arc_stream *transport,
                                  const char *name) {
  struct tls *t = calloc(1, sizeof *t);
  SSL *ssl = t ? SSL_new(server->ctx) : NULL;
  BIO *bio = ssl ? BIO_new(server->method) : NULL;
  if (!bio) {
    SSL_free(ssl);
    free(t);
    ERR_clear_error();
    arc_stream_abort(transport, NULL);
    return NULL;
  }
  BIO_set_data(bio, t);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_accept_state(ssl);
  t->ssl = ssl;
  t->transport = transport;
  t->server = server;
  server->refs++;
  arc_stream_init(&t->stream, transport->loop, &tls_class, name);
  return &t->stream;
}
