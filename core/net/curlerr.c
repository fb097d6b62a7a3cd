/* SPDX-License-Identifier: MIT */
#include "net/curlerr.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "net/dial.h"
#include "net/dialtls.h"
#include "net/proxyerr.h"
#include "util/err.h"

enum { WHO_SIZE = 600 };

static struct arc_err *connect_error(const struct arc_dial *dial) {
  const char *what = dial->proxy ? "the proxy " : "";
  const char *who = dial->proxy ? dial->proxy : dial->host;
  long number = 0;
  curl_easy_getinfo(dial->transfer.easy, CURLINFO_OS_ERRNO, &number);
  if (!number) {
    return arc_err_new(ARC_E_UNAVAILABLE, "cannot connect to %s%s", what, who);
  }
  struct arc_err *err =
      arc_err_errno((int)number, "cannot connect to %s%s", what, who);
  if (err->code == ARC_E_IO) { // no route, network down
    err->code = ARC_E_UNAVAILABLE;
    err->retryable = true;
  }
  return err;
}

/* The verdict on the host's certificate, or on an https proxy's. */
static long verdict(CURL *easy) {
  long direct = X509_V_OK, proxied = X509_V_OK;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &direct);
  curl_easy_getinfo(easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxied);
  return direct == X509_V_OK ? proxied : direct;
}

/* With whom the talk was: "host", "host (through the proxy host:port)", or the
 * proxy itself. */
static const char *peer(const struct arc_dial *dial, char *to) {
  if (!dial->proxy) {
    return dial->host;
  }
  if (dial->proxy_tls && !dial->through) {
    snprintf(to, WHO_SIZE, "the proxy %s", dial->proxy);
  } else {
    snprintf(to, WHO_SIZE, "%s (through the proxy %s)", dial->host,
             dial->proxy);
  }
  return to;
}

static struct arc_err *broken(const char *who, const char *what) {
  return arc_err_new(ARC_E_CLOSED, "%s broke the connection off: %s", who,
                     what);
}

struct arc_err *arc_curl_error(const struct arc_dial *dial, CURLcode result) {
  CURL *easy = dial->transfer.easy;
  struct arc_err *err = arc_proxy_error(dial, result);
  if (err) {
    return arc_err_at(err, NULL, "proxy");
  }
  char room[WHO_SIZE];
  const char *who = peer(dial, room);
  const char *what = *dial->text ? dial->text : curl_easy_strerror(result);
  switch (result) {
  case CURLE_OPERATION_TIMEDOUT:
    return arc_err_at(
        arc_err_new(ARC_E_TIMEOUT, "no connection to %s in time", who), NULL,
        "connect");
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
    return arc_err_at(arc_err_new(ARC_E_DNS, "%s", what), NULL, "dns");
  case CURLE_COULDNT_CONNECT:
    return arc_err_at(connect_error(dial), NULL, "connect");
  case CURLE_PEER_FAILED_VERIFICATION:
    return arc_err_at(arc_dialtls_untrusted(dial, verdict(easy), who), NULL,
                      "tls");
  case CURLE_SSL_CONNECT_ERROR:
    return arc_err_at(arc_dialtls_failed(easy, what, who), NULL, "tls");
  case CURLE_GOT_NOTHING:
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
  case CURLE_PARTIAL_FILE:
    return broken(who, what);
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_UNSUPPORTED_PROTOCOL:
    return arc_err_reason("http.bad-answer", "%s: %s", who, what);
  case CURLE_OUT_OF_MEMORY:
    return arc_err_new(ARC_E_NOMEM, "out of memory");
  case CURLE_URL_MALFORMAT:
    return arc_err_new(ARC_E_CONFIG, "%s", what);
  default:
    return arc_err_new(ARC_E_IO, "%s: %s", who, what);
  }
}
