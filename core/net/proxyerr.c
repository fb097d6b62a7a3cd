/* SPDX-License-Identifier: MIT */
#include "net/proxyerr.h"

#include <stdio.h>
#include <string.h>

#include "net/dial.h"
#include "util/err.h"

/* 407, 401, or what SOCKS calls it. */
static struct arc_err *wants_credentials(const struct arc_dial *dial,
                                         const char *how) {
  CURL *easy = dial->transfer.easy;
  long offered = 0;
  curl_easy_getinfo(easy, CURLINFO_PROXYAUTH_AVAIL, &offered);
  const char *methods = offered && !(offered & (long)CURLAUTH_BASIC)
                            ? "; it does not offer Basic, which alone is "
                              "spoken here"
                            : "";
  return dial->proxy_user
             ? arc_err_reason("net.proxy-auth",
                              "the proxy %s refused the user name and password "
                              "of %s (%s)%s",
                              dial->proxy, dial->variable, how, methods)
             : arc_err_reason("net.proxy-auth",
                              "the proxy %s wants a user name and a password "
                              "(%s)%s",
                              dial->proxy, how, methods);
}

static struct arc_err *failed_answer(const struct arc_dial *dial,
                                     const char *reason, const char *how) {
  return arc_err_reason(reason, "the proxy %s could not connect to %s:%d (%s)",
                        dial->proxy, dial->host, dial->port, how);
}

static struct arc_err *refused_answer(const struct arc_dial *dial,
                                      const char *how) {
  return arc_err_reason("net.proxy-refused",
                        "the proxy %s does not allow connections to %s:%d (%s)",
                        dial->proxy, dial->host, dial->port, how);
}

/* The answer of an HTTP proxy to CONNECT. */
static struct arc_err *answer_error(const struct arc_dial *dial, long status) {
  char how[24];
  struct arc_err *err;
  snprintf(how, sizeof how, "%ld", status);
  if (status == 407 || status == 401) { // tinyproxy's for a wrong password
    err = wants_credentials(dial, how);
  } else if (status == 403 || status == 405) {
    err = refused_answer(dial, how);
  } else if (status >= 500 && status <= 504) {
    err = failed_answer(dial, "net.proxy-failed", how);
  } else {
    err = arc_err_reason("net.proxy-answer",
                         "the proxy %s answered %ld to CONNECT %s:%d",
                         dial->proxy, status, dial->host, dial->port);
  }
  err->status = (int)status;
  return err;
}

static struct arc_err *closed(const struct arc_dial *dial) {
  return arc_err_new(ARC_E_CLOSED,
                     "the proxy %s closed the connection instead of connecting "
                     "to %s:%d",
                     dial->proxy, dial->host, dial->port);
}

static struct arc_err *nonsense(const struct arc_dial *dial,
                                const char *spoken) {
  return arc_err_reason("net.proxy-answer",
                        "what answers as the proxy %s does not speak %s as one "
                        "does",
                        dial->proxy, spoken);
}

/* RFC 1928 section 6, and libcurl's names for what went wrong before it. */
static struct arc_err *socks_error(const struct arc_dial *dial) {
  long code = CURLPX_OK;
  curl_easy_getinfo(dial->transfer.easy, CURLINFO_PROXY_ERROR, &code);
  switch (code) {
  case CURLPX_NO_AUTH:
  case CURLPX_USER_REJECTED:
  case CURLPX_IDENTD:
  case CURLPX_IDENTD_DIFFER:
    return wants_credentials(dial, "SOCKS");
  case CURLPX_REPLY_NOT_ALLOWED:
    return refused_answer(dial, "SOCKS: not allowed");
  case CURLPX_REPLY_CONNECTION_REFUSED:
    return failed_answer(dial, "net.proxy-failed", "SOCKS: refused");
  case CURLPX_REPLY_HOST_UNREACHABLE:
  case CURLPX_REPLY_NETWORK_UNREACHABLE:
  case CURLPX_REPLY_TTL_EXPIRED:
    return failed_answer(dial, "net.proxy-failed", "SOCKS: unreachable");
  case CURLPX_REPLY_GENERAL_SERVER_FAILURE:
  case CURLPX_REQUEST_FAILED:
    return failed_answer(dial, "net.proxy-failed", "SOCKS: failed");
  case CURLPX_CLOSED:
  case CURLPX_RECV_ADDRESS:
  case CURLPX_RECV_AUTH:
  case CURLPX_RECV_CONNECT:
  case CURLPX_RECV_REQACK:
  case CURLPX_SEND_AUTH:
  case CURLPX_SEND_CONNECT:
  case CURLPX_SEND_REQUEST:
    return closed(dial);
  default:
    return nonsense(dial, "SOCKS");
  }
}

/* Before there was an answer, or in the midst of it. */
static struct arc_err *silence(const struct arc_dial *dial, CURLcode result) {
  switch (result) {
  case CURLE_OPERATION_TIMEDOUT:
    return arc_err_new(ARC_E_TIMEOUT,
                       "the proxy %s did not connect to %s:%d in time",
                       dial->proxy, dial->host, dial->port);
  case CURLE_ABORTED_BY_CALLBACK: // ours: an answer without end
    return nonsense(dial, "HTTP");
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
  case CURLE_GOT_NOTHING:
    return strstr(dial->text, "tunnel failed") ||
                   strstr(dial->text, "too large")
               ? nonsense(dial, "HTTP")
               : closed(dial);
  default:
    return NULL;
  }
}

struct arc_err *arc_proxy_error(const struct arc_dial *dial, CURLcode result) {
  CURL *easy = dial->transfer.easy;
  long status = 0;
  long connected = 0;
  if (!dial->proxy) {
    return NULL;
  }
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connected);
  if (status >= 300) {
    return answer_error(dial, status);
  }
  if (result == CURLE_PROXY) {
    return socks_error(dial);
  }
  bool reused = !connected; // one that stood already
  return dial->through || reused ? NULL : silence(dial, result);
}
