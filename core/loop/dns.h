/* SPDX-License-Identifier: MIT */
#ifndef ARC_DNS_H
#define ARC_DNS_H

#include "loop/loop.h"

struct arc_err;
struct arc_dns_entry;

/* One who waits for the addresses of a host. Embed it; zero it. */
struct arc_dns_wait {
  struct arc_dns_wait *next; /* linked while waiting */
  struct arc_dns_entry *entry;
  struct arc_ready ready;
  /* Once, from the drain: addresses as "192.0.2.1,[2001:db8::1]", valid
   * during the call, or NULL and an error (borrowed). */
  void (*fn)(void *arg, const char *addresses, struct arc_err *err);
  void *arg;
};

/* Asks for the addresses of host. All who ask for one host at one time share
 * one question, and the answer serves for a minute. localhost and *.localhost
 * are loopback without asking (RFC 6761). False: out of memory. */
bool arc_dns_ask(struct arc_loop *loop, const char *host,
                 struct arc_dns_wait *wait);
/* The waiter has lost interest; fine when it does not wait. */
void arc_dns_leave(struct arc_loop *loop, struct arc_dns_wait *wait);

#endif
