/* SPDX-License-Identifier: MIT */
#include "net/dialtls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/dial.h"
#include "net/keyshare.h"
#include "util/err.h"

enum {
  READ_AHEAD = 64 * 1024,
  NAME_SIZE = 240,
  NAMES_SIZE = 200,
  TIME_SIZE = 32
};

/* ---- the handshake ---- */

static void keep(X509 **to, X509 *cert) {
  X509_free(*to);
  *to = cert && X509_up_ref(cert) ? cert : NULL;
}

/* To whom the handshake that is under way goes. */
static const char *peer_of(const struct arc_dial *dial, int *port) {
  *port = dial->through ? dial->port : dial->ask_port;
  return dial->through ? dial->host : dial->ask;
}

/* OpenSSL's own verification; what it saw is kept for the error's text. Called
 * in the handshake only, while the dial lives: renegotiation is off. */
static int verify(X509_STORE_CTX *ctx, void *arg) {
  struct arc_dial *dial = arg;
  int ok = X509_verify_cert(ctx);
  keep(&dial->leaf, X509_STORE_CTX_get0_cert(ctx));
  keep(&dial->bad, ok > 0 ? NULL : X509_STORE_CTX_get_current_cert(ctx));
  SSL *ssl =
      X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
  if (ok > 0 && ssl) {
    int port;
    const char *host = peer_of(dial, &port);
    arc_keyshare_note(dial->loop, ssl, host, port);
  }
  return ok;
}

/* One system call for some records instead of two for each; a silent
 * connection holds no buffer. Not for libcurl's own reading, which does not
 * look for what lies here undecoded. */
static void read_ahead(SSL_CTX *ctx) {
  SSL_CTX_set_read_ahead(ctx, 1);
  SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
}

CURLcode arc_dialtls_set_up(CURL *easy, void *ctx, void *arg) {
  struct arc_dial *dial = arg;
  long connected = 0;
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &connected);
  dial->through = !dial->proxy_tls || connected;
  SSL_CTX_set1_cert_store(ctx, dial->through ? dial->store : dial->proxy_store);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
  // curl repeats a send from another buffer, and takes what went out
  SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_ENABLE_PARTIAL_WRITE);
  if (dial->read_ahead && dial->through) {
    read_ahead(ctx);
  } else { // answers hold tokens
    SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
  }
  SSL_CTX_set_cert_verify_callback(ctx, verify, dial);
  int port;
  const char *host = peer_of(dial, &port);
  return arc_keyshare_offer(dial->loop, ctx, host, port)
             ? CURLE_OK
             : CURLE_SSL_CONNECT_ERROR;
}

void arc_dialtls_forget(struct arc_dial *dial) {
  keep(&dial->leaf, NULL);
  keep(&dial->bad, NULL);
}

/* ---- its errors ---- */

static const char *take_text(BIO *bio, char *to, size_t size) {
  int n = BIO_read(bio, to, (int)size - 1);
  to[n > 0 ? n : 0] = '\0';
  BIO_free(bio);
  return to;
}

/* "CN = Corp Proxy CA, O = Corp", cut to fit; control characters escaped. */
static const char *name_text(const X509_NAME *name, char *to, size_t size) {
  BIO *bio = BIO_new(BIO_s_mem());
  *to = '\0';
  if (bio && name) {
    X509_NAME_print_ex(bio, name, 0,
                       XN_FLAG_ONELINE & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
  }
  return bio ? take_text(bio, to, size) : to;
}

static const char *time_text(const ASN1_TIME *when, char *to) {
  struct tm tm; // of the present when NULL is given
  *to = '\0';
  if (ASN1_TIME_to_tm(when, &tm)) {
    strftime(to, TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
  }
  return to;
}

static struct arc_err *wrong_time(const X509 *cert, bool early,
                                  const char *who) {
  char subject[NAME_SIZE], limit[TIME_SIZE], now[TIME_SIZE];
  const char *reason = early ? "tls.not-yet-valid" : "tls.expired";
  if (!cert) {
    return arc_err_reason(reason, "%s: the certificate's time", who);
  }
  name_text(X509_get_subject_name(cert), subject, sizeof subject);
  time_text(early ? X509_get0_notBefore(cert) : X509_get0_notAfter(cert),
            limit);
  return arc_err_reason(
      reason, "%s: the certificate '%s' %s %s; this machine's clock says %s",
      who, subject, early ? "is valid only from" : "expired at", limit,
      time_text(NULL, now));
}

/* The names that a certificate is for: "a.test, *.b.test". */
static const char *names_text(X509 *cert, char *to, size_t size) {
  GENERAL_NAMES *names =
      X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
  size_t n = 0;
  *to = '\0';
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS && n < size) {
      const ASN1_IA5STRING *dns = name->d.dNSName;
      n += (size_t)snprintf(to + n, size - n, "%s%.*s", n ? ", " : "",
                            ASN1_STRING_length(dns),
                            (const char *)ASN1_STRING_get0_data(dns));
    }
  }
  GENERAL_NAMES_free(names);
  return *to ? to : name_text(X509_get_subject_name(cert), to, size);
}

static struct arc_err *wrong_name(X509 *cert, const char *who) {
  char names[NAMES_SIZE], issuer[NAME_SIZE];
  if (!cert) {
    return arc_err_reason("tls.wrong-name",
                          "%s: the certificate is for another host", who);
  }
  return arc_err_reason(
      "tls.wrong-name",
      "%s: the certificate is for %s, not for this host (signed by '%s')", who,
      names_text(cert, names, sizeof names),
      name_text(X509_get_issuer_name(cert), issuer, sizeof issuer));
}

static struct arc_err *unknown_issuer(const X509 *cert, long verdict,
                                      const char *who) {
  char name[NAME_SIZE];
  const char *why = X509_verify_cert_error_string(verdict);
  switch (cert ? verdict : X509_V_OK) {
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    return arc_err_reason(
        "tls.untrusted",
        "%s: the certificate '%s' is self-signed, and not known here", who,
        name_text(X509_get_subject_name(cert), name, sizeof name));
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    return arc_err_reason(
        "tls.untrusted",
        "%s: the certificate is signed by '%s', which is not known here: a "
        "TLS-inspecting proxy?",
        who, name_text(X509_get_issuer_name(cert), name, sizeof name));
  default:
    return arc_err_reason("tls.untrusted", "%s: %s", who, why);
  }
}

struct arc_err *arc_dialtls_untrusted(const struct arc_dial *dial, long verdict,
                                      const char *who) {
  switch (verdict) {
  case X509_V_OK: // the chain is good: curl compares the name itself, ...
  case X509_V_ERR_UNSPECIFIED: // ... before it notes the verdict
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return wrong_name(dial->leaf, who);
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return wrong_time(dial->bad, false, who);
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return wrong_time(dial->bad, true, who);
  default:
    return unknown_issuer(dial->bad, verdict, who);
  }
}

static bool says(const char *text, const char *const *words) {
  for (; *words; words++) {
    if (strstr(text, *words)) {
      return true;
    }
  }
  return false;
}

/* A handshake that broke off is the network's fault and may work next time;
 * one that was refused is not. */
struct arc_err *arc_dialtls_failed(CURL *easy, const char *text,
                                   const char *who) {
  static const char *const broke[] = {"SSL_ERROR_SYSCALL", "unexpected eof",
                                      NULL};
  static const char *const old[] = {"unsupported protocol", "protocol version",
                                    NULL};
  static const char *const other[] = {
      "wrong version number", "packet length too long", "record layer failure",
      "http request",         "invalid alert",          NULL};
  long number = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
  if (number == ECONNRESET || number == EPIPE || says(text, broke)) {
    return arc_err_new(ARC_E_CLOSED,
                       "%s closed the connection in the TLS handshake", who);
  }
  if (says(text, old)) {
    return arc_err_reason("tls.too-old",
                          "%s: no common version of TLS; 1.2 and 1.3 are "
                          "spoken here (%s)",
                          who, text);
  }
  return says(text, other)
             ? arc_err_reason("net.not-tls",
                              "%s: what answered does not speak TLS", who)
             : arc_err_reason("tls.failed", "%s: %s", who, text);
}
