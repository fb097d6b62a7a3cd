/* SPDX-License-Identifier: MIT */
#include "net/curlerr.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "util/err.h"

static struct arc_err *connect_error(CURL *easy, const char *host) {
  long number = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
  if (!number) {
    return arc_err_new(ARC_E_UNAVAILABLE, "cannot connect to %s", host);
  }
  struct arc_err *err =
      arc_err_errno((int)number, "cannot connect to %s", host);
  if (err->code == ARC_E_IO) { // no route, network down
    err->code = ARC_E_UNAVAILABLE;
    err->retryable = true;
  }
  return err;
}

static struct arc_err *verify_error(CURL *easy, const char *text,
                                    const char *host) {
  long direct = X509_V_OK, proxied = X509_V_OK;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &direct);
  curl_easy_getinfo(easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxied);
  long verdict = direct == X509_V_OK ? proxied : direct;
  switch (verdict) {
  case X509_V_OK: // the chain is good: curl compares the name itself, ...
  case X509_V_ERR_UNSPECIFIED: // ... before it notes the verdict
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return arc_err_reason("tls.wrong-name", "%s: %s", host, text);
  case X509_V_ERR_CERT_HAS_EXPIRED:
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return arc_err_reason("tls.expired", "%s: %s", host,
                          X509_verify_cert_error_string(verdict));
  default:
    return arc_err_reason("tls.untrusted", "%s: %s", host,
                          X509_verify_cert_error_string(verdict));
  }
}

/* A handshake that broke off is the network's fault and may work next time;
 * one that was refused is not. */
static struct arc_err *handshake_error(CURL *easy, const char *text,
                                       const char *host) {
  long number = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
  bool broke = number == ECONNRESET || number == EPIPE ||
               strstr(text, "SSL_ERROR_SYSCALL") ||
               strstr(text, "unexpected eof");
  return broke ? arc_err_new(ARC_E_CLOSED,
                             "%s closed the connection in the TLS handshake",
                             host)
               : arc_err_new(ARC_E_TLS, "%s: %s", host, text);
}

/* The answer of an HTTP proxy to CONNECT, or NULL when it was good. */
static struct arc_err *proxy_error(CURL *easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
  if (status < 300) {
    return NULL;
  }
  struct arc_err *err =
      status == 407
          ? arc_err_reason("net.proxy-auth",
                           "the proxy wants credentials (407)")
          : arc_err_reason("net.proxy-answer",
                           "the proxy answered %ld to CONNECT", status);
  err->status = (int)status;
  return err;
}

struct arc_err *arc_curl_error(CURL *easy, CURLcode result, const char *text,
                               const char *host) {
  struct arc_err *proxy = proxy_error(easy);
  if (proxy) {
    return arc_err_at(proxy, NULL, "proxy");
  }
  const char *what = *text ? text : curl_easy_strerror(result);
  switch (result) {
  case CURLE_OPERATION_TIMEDOUT:
    return arc_err_at(
        arc_err_new(ARC_E_TIMEOUT, "no connection to %s in time", host), NULL,
        "connect");
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
    return arc_err_at(arc_err_new(ARC_E_DNS, "%s", what), NULL, "dns");
  case CURLE_COULDNT_CONNECT:
    return arc_err_at(connect_error(easy, host), NULL, "connect");
  case CURLE_PROXY:
    return arc_err_at(arc_err_reason("net.proxy-answer", "%s", what), NULL,
                      "proxy");
  case CURLE_PEER_FAILED_VERIFICATION:
    return arc_err_at(verify_error(easy, what, host), NULL, "tls");
  case CURLE_SSL_CONNECT_ERROR:
    return arc_err_at(handshake_error(easy, what, host), NULL, "tls");
  case CURLE_GOT_NOTHING:
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
  case CURLE_PARTIAL_FILE:
    return arc_err_new(ARC_E_CLOSED, "%s broke the connection off: %s", host,
                       what);
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_UNSUPPORTED_PROTOCOL:
    return arc_err_reason("http.bad-answer", "%s: %s", host, what);
  case CURLE_OUT_OF_MEMORY:
    return arc_err_new(ARC_E_NOMEM, "out of memory");
  case CURLE_URL_MALFORMAT:
    return arc_err_new(ARC_E_CONFIG, "%s", what);
  default:
    return arc_err_new(ARC_E_IO, "%s: %s", host, what);
  }
}
