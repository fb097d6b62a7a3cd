/* SPDX-License-Identifier: MIT */
#include "net/way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/dial.h"
#include "net/proxy.h"
#include "util/err.h"

/* A proxy's whole answer to CONNECT. */
enum { ANSWER_MAX = 64 * 1024 };

/* Names are always resolved by the proxy: behind one, others often cannot. */
static const struct scheme {
  const char *name, *curls, *port;
} schemes[] = {{"http", "http", "80"},        {"https", "https", "443"},
               {"socks5", "socks5h", "1080"}, {"socks5h", "socks5h", "1080"},
               {"socks4", "socks4a", "1080"}, {"socks4a", "socks4a", "1080"},
               {"socks", "socks5h", "1080"}};

static const struct scheme *find_scheme(const char *name) {
  for (size_t i = 0; name && i < sizeof schemes / sizeof *schemes; i++) {
    if (!strcasecmp(name, schemes[i].name)) {
      return &schemes[i];
    }
  }
  return NULL;
}

static char *part_of(CURLU *url, CURLUPart part) {
  char *text = NULL;
  return curl_url_get(url, part, &text, 0) ? NULL : text;
}

static void wipe_part(char *text) {
  if (text) {
    explicit_bzero(text, strlen(text));
  }
  curl_free(text);
}

/* curl's own defaults for scheme and port are not those of other clients. */
static const struct scheme *complete(CURLU *url, const char *text) {
  unsigned flags = CURLU_NON_SUPPORT_SCHEME;
  flags |= strstr(text, "://") ? 0 : CURLU_GUESS_SCHEME;
  if (curl_url_set(url, CURLUPART_URL, text, flags)) {
    return NULL;
  }
  if (flags & CURLU_GUESS_SCHEME) { // it guesses "ftp" from "ftp.example.com"
    curl_url_set(url, CURLUPART_SCHEME, "http", 0);
  }
  char *given = part_of(url, CURLUPART_SCHEME);
  char *port = part_of(url, CURLUPART_PORT);
  const struct scheme *scheme = find_scheme(given);
  if (scheme &&
      (curl_url_set(url, CURLUPART_SCHEME, scheme->curls, flags) ||
       (!port && curl_url_set(url, CURLUPART_PORT, scheme->port, 0)))) {
    scheme = NULL;
  }
  curl_free(given);
  curl_free(port);
  return scheme;
}

/* Where the proxy is; false without memory. */
static bool note(struct arc_dial *dial, CURLU *url) {
  char *host = part_of(url, CURLUPART_HOST);
  char *port = part_of(url, CURLUPART_PORT);
  char *user = part_of(url, CURLUPART_USER);
  dial->proxy_user = user;
  size_t n = host ? strlen(host) : 0;
  if (n && port && (dial->proxy = malloc(n + 16))) {
    snprintf(dial->proxy, n + 16, "%s:%s", host, port);
    dial->ask = *host == '[' ? strndup(host + 1, n - 2) : strdup(host);
    dial->ask_port = atoi(port); // NOLINT: curl has checked it
  }
  curl_free(host);
  curl_free(port);
  wipe_part(user);
  return dial->ask;
}

/* libcurl reads an answer to CONNECT byte by byte, and calls this at each: one
 * without end must not keep the loop. */
static int on_progress(void *arg, curl_off_t total, curl_off_t now,
                       curl_off_t up_total, curl_off_t up) {
  struct arc_dial *dial = arg;
  (void)total, (void)up_total, (void)up;
  return !now && !dial->through && ++dial->progress > ANSWER_MAX;
}

static struct arc_err *no_memory(void) {
  return arc_err_new(ARC_E_NOMEM, "out of memory");
}

static struct arc_err *use(struct arc_dial *dial, CURLU *url,
                           const char *text) {
  CURL *easy = dial->transfer.easy;
  const struct scheme *scheme = complete(url, text);
  if (!scheme) {
    return arc_err_reason(
        "net.bad-proxy", "%s does not hold the URL of a proxy", dial->variable);
  }
  char *whole = part_of(url, CURLUPART_URL);
  bool ok =
      whole && note(dial, url) && !curl_easy_setopt(easy, CURLOPT_PROXY, whole);
  wipe_part(whole);
  dial->proxy_tls = !strcmp(scheme->name, "https");
  curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
  curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, dial);
  return ok ? NULL : no_memory();
}

static struct arc_err *go_by_proxy(struct arc_dial *dial, const char *text) {
  CURLU *url = curl_url();
  struct arc_err *err = url ? use(dial, url, text) : no_memory();
  curl_url_cleanup(url);
  return err;
}

struct arc_err *arc_way_choose(struct arc_dial *dial) {
  CURL *easy = dial->transfer.easy;
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  const char *proxy =
      dial->plain ? NULL
                  : arc_proxy_for(dial->host, dial->port, &dial->variable);
  if (proxy) {
    return go_by_proxy(dial, proxy);
  }
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  dial->ask = strdup(dial->host);
  dial->ask_port = dial->port;
  return dial->ask ? NULL : no_memory();
}
