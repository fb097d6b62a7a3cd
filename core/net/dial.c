/* SPDX-License-Identifier: MIT */
#include "net/dial.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/curlerr.h"
#include "net/dialtls.h"
#include "net/proxy.h"
#include "net/trust.h"
#include "net/way.h"
#include "util/err.h"

/* Real milliseconds below which a fast clock does not push curl's limit. */
enum { CONNECT_MS_MIN = 1000 };

/* libcurl's own sockets would stay open in children. */
static int on_socket_made(void *arg, curl_socket_t fd, curlsocktype purpose) {
  (void)arg;
  (void)purpose;
  return fcntl(fd, F_SETFD, FD_CLOEXEC) ? CURL_SOCKOPT_ERROR : CURL_SOCKOPT_OK;
}

/* One part of the URL; NULL when absent. To be freed by curl_free. */
static char *url_part(CURLU *url, CURLUPart part) {
  char *text = NULL;
  unsigned flags = part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0;
  return curl_url_get(url, part, &text, flags) ? NULL : text;
}

static char *bare_host(const char *host) {
  size_t n = strlen(host);
  return n > 1 && *host == '[' ? strndup(host + 1, n - 2) : strdup(host);
}

static bool has_credentials(CURLU *url) {
  char *user = url_part(url, CURLUPART_USER);
  curl_free(user);
  return user;
}

static struct arc_err *check_scheme(struct arc_dial *dial, CURLU *url) {
  char *scheme = url_part(url, CURLUPART_SCHEME);
  bool https = scheme && !strcasecmp(scheme, "https");
  dial->plain = scheme && !strcasecmp(scheme, "http");
  curl_free(scheme);
  bool near = arc_is_loopback(dial->host) || arc_is_link_local(dial->host);
  if (!https && !(dial->plain && near)) {
    return arc_err_new(ARC_E_CONFIG,
                       "only https is spoken (http to this machine itself and "
                       "its host), not the URL's scheme for %s",
                       dial->host);
  }
  return has_credentials(url)
             ? arc_err_new(ARC_E_CONFIG, "no user name belongs into the URL")
             : NULL;
}

static struct arc_err *read_url(struct arc_dial *dial, CURLU *url) {
  char *host = url_part(url, CURLUPART_HOST);
  char *port = url_part(url, CURLUPART_PORT);
  if (host && *host && port) {
    dial->host = bare_host(host);
    dial->port = atoi(port); // NOLINT: curl has checked it
  }
  curl_free(host);
  curl_free(port);
  return dial->host ? check_scheme(dial, url)
                    : arc_err_new(ARC_E_CONFIG, "the URL names no host");
}

static struct arc_err *parse_url(struct arc_dial *dial, const char *text) {
  CURLU *url = curl_url();
  if (!url) {
    return arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  CURLUcode rc = curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS);
  struct arc_err *err =
      rc ? arc_err_new(ARC_E_CONFIG, "not a URL: %s", curl_url_strerror(rc))
         : read_url(dial, url);
  curl_url_cleanup(url);
  return err;
}

static void set_options(struct arc_dial *dial, const char *url,
                        double connect_timeout) {
  CURL *easy = dial->transfer.easy;
  double ms = connect_timeout * 1000 / arc_loop_scale(dial->loop);
  if (ms < CONNECT_MS_MIN && arc_loop_scale(dial->loop) > 1) {
    ms = CONNECT_MS_MIN;
  }
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)ms);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, dial->text);
  curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
  curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, NULL);
  curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
  // Else curl keeps the first connection's store and puts it in place of the
  // others': one cloud's authority would be trusted for all.
  curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, arc_dialtls_set_up);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, dial);
}

struct arc_err *arc_dial_open(struct arc_dial *dial, struct arc_loop *loop,
                              enum arc_multi_kind kind, const char *url,
                              const char *ca, double connect_timeout) {
  struct arc_err *err = NULL;
  dial->loop = loop;
  dial->multi = arc_multi_get(loop, kind, &err);
  if (!dial->multi || (err = parse_url(dial, url))) {
    return err;
  }
  if (!dial->plain && !(dial->store = arc_trust_store(loop, ca, &err))) {
    return err;
  }
  dial->transfer.easy = curl_easy_init();
  if (!dial->transfer.easy) {
    return arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  set_options(dial, url, connect_timeout);
  err = arc_way_choose(dial);
  if (!err && dial->proxy_tls) {
    dial->proxy_store = arc_trust_store(loop, NULL, &err);
  }
  return err;
}

static void transferred(void *arg, CURLcode result) {
  struct arc_dial *dial = arg;
  struct arc_err *err = result ? arc_curl_error(dial, result) : NULL;
  arc_dialtls_forget(dial);
  dial->done(dial->arg, err);
}

static void run(struct arc_dial *dial) {
  dial->transfer.done = transferred;
  dial->transfer.arg = dial;
  if (!arc_multi_add(dial->multi, &dial->transfer)) {
    dial->done(dial->arg, arc_err_new(ARC_E_NOMEM, "libcurl refused"));
  }
}

/* "host:port:address,address", which libcurl then does not ask for. */
static bool set_addresses(struct arc_dial *dial, const char *addresses) {
  size_t size = strlen(dial->ask) + strlen(addresses) + 16;
  char *line = malloc(size);
  if (line) {
    snprintf(line, size, "%s:%d:%s", dial->ask, dial->ask_port, addresses);
    dial->resolve = curl_slist_append(NULL, line);
    free(line);
  }
  return dial->resolve &&
         !curl_easy_setopt(dial->transfer.easy, CURLOPT_RESOLVE, dial->resolve);
}

static void resolved(void *arg, const char *addresses, struct arc_err *err) {
  struct arc_dial *dial = arg;
  if (!addresses) { // the error is shared by all who asked: ours is a copy
    struct arc_err *own = arc_err_new(
        err->code, "%s%s", dial->proxy ? "the proxy: " : "", err->message);
    if (own->refs) {
      own->retryable = err->retryable;
    }
    dial->done(dial->arg, arc_err_at(own, NULL, "dns"));
  } else if (set_addresses(dial, addresses)) {
    run(dial);
  } else {
    dial->done(dial->arg, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
}

static bool is_address(const char *host) {
  struct in6_addr any;
  return uv_inet_pton(AF_INET, host, &any) == 0 ||
         uv_inet_pton(AF_INET6, host, &any) == 0;
}

/* An address needs no question. */
void arc_dial_start(struct arc_dial *dial) {
  dial->dns.fn = resolved;
  dial->dns.arg = dial;
  if (is_address(dial->ask)) {
    run(dial);
  } else if (!arc_dns_ask(dial->loop, dial->ask, &dial->dns)) {
    dial->done(dial->arg, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
}

void arc_dial_close(struct arc_dial *dial) {
  if (!dial->loop) {
    return;
  }
  arc_dns_leave(dial->loop, &dial->dns);
  arc_multi_remove(&dial->transfer);
  curl_easy_cleanup(dial->transfer.easy);
  dial->transfer.easy = NULL;
  curl_slist_free_all(dial->resolve);
  X509_STORE_free(dial->store);
  X509_STORE_free(dial->proxy_store);
  arc_dialtls_forget(dial);
  free(dial->proxy);
  free(dial->host);
  free(dial->ask);
  dial->loop = NULL;
}
