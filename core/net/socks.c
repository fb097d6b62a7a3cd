/* SPDX-License-Identifier: MIT */
#include "net/socks.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { V4 = 4, V5 = 5, CONNECT = 1 };
enum { IPV4 = 1, NAME = 3, IPV6 = 4 };
enum { V4_HEAD = 8, V4_GRANTED = 90, V4_REJECTED = 91 };
enum { NO_METHOD = 0xff, NO_COMMAND = 7, NO_ADDRESS_TYPE = 8 };

/* Where the text that begins at from ends (its NUL), or 0: not yet. */
static size_t end_of_text(const struct arc_socks *s, size_t from) {
  const uint8_t *nul =
      from < s->have ? memchr(s->in + from, 0, s->have - from) : NULL;
  return nul ? (size_t)(nul - s->in) : 0;
}

/* SOCKS 4a: 0.0.0.x means that a name follows. */
static bool names_host(const struct arc_socks *s) {
  return !s->in[4] && !s->in[5] && !s->in[6] && s->in[7];
}

/* The length of a message of which so much is known; more than `have` while it
 * is not complete. */
static size_t length_v4(const struct arc_socks *s) {
  if (s->have < V4_HEAD) {
    return V4_HEAD;
  }
  size_t user = end_of_text(s, V4_HEAD);
  if (!user) {
    return s->have + 1;
  }
  if (!names_host(s)) {
    return user + 1;
  }
  size_t host = end_of_text(s, user + 1);
  return host ? host + 1 : s->have + 1;
}

static size_t length_v5(const struct arc_socks *s) {
  if (!s->greeted) {
    return s->have < 2 ? 2 : 2U + s->in[1];
  }
  if (s->have < 4) {
    return 4;
  }
  switch (s->in[3]) {
  case IPV4:
    return 4 + 4 + 2;
  case IPV6:
    return 4 + 16 + 2;
  case NAME:
    return s->have < 5 ? 5 : 5U + s->in[4] + 2;
  default:
    return 4;
  }
}

static size_t length(const struct arc_socks *s) {
  switch (s->have ? s->in[0] : 0) {
  case V4:
    return length_v4(s);
  case V5:
    return length_v5(s);
  default:
    return 1;
  }
}

size_t arc_socks_need(const struct arc_socks *s) {
  size_t whole = length(s);
  return whole > s->have ? whole - s->have : 1;
}

/* ---- replies ---------------------------------------------------------------
 */

static void reply_v4(struct arc_socks *s, uint8_t code) {
  memset(s->reply, 0, sizeof s->reply);
  s->reply[1] = code;
  s->reply_len = V4_HEAD;
}

/* The address that we are bound to is not known: zeroes, as all do. */
static void reply_v5(struct arc_socks *s, uint8_t code) {
  memset(s->reply, 0, sizeof s->reply);
  s->reply[0] = V5;
  s->reply[1] = code;
  s->reply[3] = IPV4;
  s->reply_len = 4 + 4 + 2;
}

void arc_socks_finish(struct arc_socks *s, enum arc_socks_result result) {
  static const uint8_t codes[] = {0, 1, 2, 4, 5};
  if (s->version == V4) {
    reply_v4(s, result == ARC_SOCKS_OK ? V4_GRANTED : V4_REJECTED);
  } else {
    reply_v5(s, codes[result]);
  }
}

static enum arc_socks_step refuse(struct arc_socks *s, const char *why) {
  s->why = why;
  return ARC_SOCKS_REFUSED;
}

static enum arc_socks_step refuse_v5(struct arc_socks *s, uint8_t code,
                                     const char *why) {
  reply_v5(s, code);
  return refuse(s, why);
}

/* ---- messages --------------------------------------------------------------
 */

/* A name without anything that is none's. */
static bool take_host(struct arc_socks *s, const uint8_t *from, size_t n) {
  if (!n || n > ARC_SOCKS_HOST) {
    return false;
  }
  for (size_t i = 0; i < n; i++) {
    if (from[i] <= ' ' || from[i] == 0x7f) {
      return false;
    }
  }
  memcpy(s->host, from, n);
  s->host[n] = '\0';
  return true;
}

static void take_port(struct arc_socks *s, const uint8_t *from) {
  s->port = from[0] << 8 | from[1];
}

static enum arc_socks_step take_v4(struct arc_socks *s) {
  size_t user = end_of_text(s, V4_HEAD);
  s->version = V4;
  take_port(s, s->in + 2);
  if (names_host(s)) {
    if (!take_host(s, s->in + user + 1, s->have - 1 - (user + 1))) {
      reply_v4(s, V4_REJECTED);
      return refuse(s, "no name of a host");
    }
  } else {
    inet_ntop(AF_INET, s->in + 4, s->host, sizeof s->host);
  }
  if (s->in[1] != CONNECT || !s->port) {
    reply_v4(s, V4_REJECTED);
    return refuse(s, "only CONNECT is known, to a port");
  }
  return ARC_SOCKS_CONNECT;
}

static enum arc_socks_step greet(struct arc_socks *s) {
  bool open = memchr(s->in + 2, 0, s->in[1]);
  s->version = V5;
  s->reply[0] = V5;
  s->reply[1] = open ? 0 : NO_METHOD;
  s->reply_len = 2;
  s->greeted = true;
  s->have = 0;
  return open ? ARC_SOCKS_ANSWER
              : refuse(s, "the client insists on authentication");
}

static enum arc_socks_step take_v5(struct arc_socks *s) {
  if (!s->greeted) {
    return greet(s);
  }
  const uint8_t *port = s->in + s->have - 2;
  switch (s->in[3]) {
  case IPV4:
    inet_ntop(AF_INET, s->in + 4, s->host, sizeof s->host);
    break;
  case IPV6:
    inet_ntop(AF_INET6, s->in + 4, s->host, sizeof s->host);
    break;
  case NAME:
    if (!take_host(s, s->in + 5, s->in[4])) {
      return refuse_v5(s, 1, "no name of a host");
    }
    break;
  default:
    return refuse_v5(s, NO_ADDRESS_TYPE, "unknown type of address");
  }
  take_port(s, port);
  if (s->in[1] != CONNECT || !s->port) {
    return refuse_v5(s, NO_COMMAND, "only CONNECT is known, to a port");
  }
  return ARC_SOCKS_CONNECT;
}

enum arc_socks_step arc_socks_feed(struct arc_socks *s, const void *bytes,
                                   size_t n) {
  s->reply_len = 0;
  if (n > sizeof s->in - s->have) {
    return refuse(s, "the request is too long");
  }
  memcpy(s->in + s->have, bytes, n);
  s->have += n;
  uint8_t version = s->in[0];
  if ((version != V4 && version != V5) || (s->greeted && version != V5)) {
    return refuse(s, "the client does not speak SOCKS 4 or 5");
  }
  if (length(s) > s->have) {
    return s->have < sizeof s->in ? ARC_SOCKS_MORE
                                  : refuse(s, "the request is too long");
  }
  return version == V4 ? take_v4(s) : take_v5(s);
}
