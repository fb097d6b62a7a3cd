/* SPDX-License-Identifier: MIT */
#include "net/proxy.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_LEN = 256 };

/* An address in 16 bytes; IPv4 in mapped form. */
struct address {
  uint8_t bytes[16];
  bool v4;
};

static bool parse_address(const char *text, struct address *to) {
  char bare[NAME_MAX_LEN];
  size_t len = strlen(text);
  if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
    text++;
    len -= 2;
  }
  if (len >= sizeof bare) {
    return false;
  }
  memcpy(bare, text, len);
  bare[len] = '\0';
  char *zone = strchr(bare, '%');
  if (zone) {
    *zone = '\0';
  }
  memset(to, 0, sizeof *to);
  if (inet_pton(AF_INET, bare, to->bytes + 12) == 1) {
    to->bytes[10] = to->bytes[11] = 0xff;
    to->v4 = true;
    return true;
  }
  return inet_pton(AF_INET6, bare, to->bytes) == 1;
}

static bool same_prefix(const struct address *a, const struct address *b,
                        unsigned bits) {
  for (unsigned i = 0; i < 16 && bits; i++) {
    unsigned take = bits < 8 ? bits : 8;
    uint8_t mask = (uint8_t)(0xff << (8 - take));
    if ((a->bytes[i] ^ b->bytes[i]) & mask) {
      return false;
    }
    bits -= take;
  }
  return true;
}

static bool in_range(const char *host, const char *range, unsigned bits) {
  struct address a, b;
  return parse_address(host, &a) && parse_address(range, &b) &&
         same_prefix(&a, &b, b.v4 ? bits + 96 : bits);
}

bool arc_is_loopback(const char *host) {
  static const char word[] = "localhost";
  size_t len = strlen(host);
  if (len && host[len - 1] == '.') {
    len--;
  }
  size_t n = sizeof word - 1;
  if (len >= n && !strncasecmp(host + len - n, word, n) &&
      (len == n || host[len - n - 1] == '.')) {
    return true;
  }
  return in_range(host, "127.0.0.0", 8) || in_range(host, "::1", 128);
}

bool arc_is_link_local(const char *host) {
  return in_range(host, "169.254.0.0", 16) || in_range(host, "fe80::", 10);
}

/* Cuts ":port" off an entry; false when it is for another port. */
static bool port_matches(char *entry, int port) {
  char *colon = strrchr(entry, ':');
  if (!colon || (strchr(entry, ':') != colon && colon[-1] != ']')) {
    return true; // none, or a bare IPv6 address
  }
  *colon = '\0';
  return atoi(colon + 1) == port; // NOLINT: bad text is port 0, no match
}

static bool name_matches(const char *entry, const char *host) {
  entry += *entry == '*' && entry[1] == '.';
  entry += *entry == '.';
  size_t n = strlen(entry);
  size_t len = strlen(host);
  if (!n || n > len || strcasecmp(host + len - n, entry) != 0) {
    return false;
  }
  return n == len || host[len - n - 1] == '.';
}

static bool entry_matches(char *entry, const char *host, int port) {
  if (!strcmp(entry, "*")) {
    return true;
  }
  char *slash = strchr(entry, '/');
  if (slash) {
    *slash = '\0';
    int bits = atoi(slash + 1); // NOLINT: bad text is 0, refused below
    return bits > 0 && bits <= 128 && in_range(host, entry, (unsigned)bits);
  }
  if (!port_matches(entry, port)) {
    return false;
  }
  struct address a;
  return parse_address(entry, &a) ? in_range(host, entry, a.v4 ? 32 : 128)
                                  : name_matches(entry, host);
}

bool arc_no_proxy(const char *list, const char *host, int port) {
  static const char blanks[] = ", \t";
  while (*list) {
    list += strspn(list, blanks);
    size_t n = strcspn(list, blanks);
    char entry[NAME_MAX_LEN];
    if (n && n < sizeof entry) {
      memcpy(entry, list, n);
      entry[n] = '\0';
      if (entry_matches(entry, host, port)) {
        return true;
      }
    }
    list += n;
  }
  return false;
}

/* The value of the first name that is set; an empty one means none. */
static const char *variable(const char *const names[2], const char **name) {
  for (size_t i = 0; i < 2; i++) {
    const char *value = getenv(names[i]);
    if (value) {
      *name = names[i];
      return *value ? value : NULL;
    }
  }
  return NULL;
}

const char *arc_proxy_for(const char *host, int port, const char **name) {
  static const char *const none[] = {"no_proxy", "NO_PROXY"};
  static const char *const https[] = {"https_proxy", "HTTPS_PROXY"};
  static const char *const all[] = {"all_proxy", "ALL_PROXY"};
  if (arc_is_loopback(host) || arc_is_link_local(host)) {
    return NULL;
  }
  const char *list = variable(none, name);
  if (list && arc_no_proxy(list, host, port)) {
    return NULL;
  }
  const char *proxy = variable(https, name);
  return proxy ? proxy : variable(all, name);
}
