/* SPDX-License-Identifier: MIT */
#ifndef ARC_PROXY_H
#define ARC_PROXY_H

#include <stdbool.h>

/* The proxy for an https connection to host, as the environment says
 * (HTTPS_PROXY, ALL_PROXY, NO_PROXY and their lower-case forms, which win); a
 * pointer into the environment, or NULL for none; *name is that of the
 * variable. Loopback and link-local hosts have none. */
const char *arc_proxy_for(const char *host, int port, const char **name);

/* Is host (a name, or an address with or without brackets) this machine:
 * localhost, *.localhost, 127.0.0.0/8, ::1? */
bool arc_is_loopback(const char *host);
/* 169.254.0.0/16 or fe80::/10. */
bool arc_is_link_local(const char *host);

/* Does the list of NO_PROXY (names, .suffixes, *, addresses, CIDR ranges, each
 * with an optional :port) cover host:port? Pure. */
bool arc_no_proxy(const char *list, const char *host, int port);

#endif
