/* SPDX-License-Identifier: MIT */
#ifndef ARC_DIAL_H
#define ARC_DIAL_H

#include <curl/curl.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "loop/dns.h"
#include "loop/loop.h"
#include "net/multi.h"

struct arc_err;

/* What a request and a relay connection have in common: a checked URL, the
 * trust store, the proxy, the addresses. Embed it; zero it. */
struct arc_dial {
  struct arc_loop *loop;
  struct arc_transfer transfer; /* its `easy` is set up by arc_dial_open */
  struct arc_multi *multi;
  struct arc_dns_wait dns;
  X509_STORE *store, *proxy_store; /* a cloud's authority is not a proxy's */
  struct curl_slist *resolve;
  char *host; /* of the URL, without brackets */
  char *ask;  /* whose addresses are asked: host or the proxy's */
  int port, ask_port;
  bool plain;           /* http:// (loopback, link-local) */
  bool read_ahead;      /* whoever reads does so until nothing is left */
  char *proxy;          /* "host:port" for messages; NULL: none */
  const char *variable; /* the static name of that which gave the proxy */
  bool proxy_user;      /* it holds a user name */
  bool proxy_tls;       /* TLS to the proxy, and again to the host in it */
  bool through;         /* TLS with the host itself has begun */
  unsigned progress;    /* of a proxy's answer, in bytes */
  X509 *leaf, *bad;     /* the peer's certificate; the one that was refused */
  char text[CURL_ERROR_SIZE];
  /* Once, from the drain: NULL, or why it did not work (taken over by it). */
  void (*done)(void *arg, struct arc_err *err);
  void *arg;
};

/* Makes the easy handle for url, which must be https (http for loopback and
 * link-local). NULL, or an error; arc_dial_close frees in both cases.
 * connect_timeout in seconds. */
struct arc_err *arc_dial_open(struct arc_dial *dial, struct arc_loop *loop,
                              enum arc_multi_kind kind, const char *url,
                              const char *ca, double connect_timeout);
/* Asks for addresses, then runs the transfer; done is called in any case, but
 * not after arc_dial_close. */
void arc_dial_start(struct arc_dial *dial);
void arc_dial_close(struct arc_dial *dial);

#endif
