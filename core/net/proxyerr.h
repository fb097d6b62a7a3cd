/* SPDX-License-Identifier: MIT */
#ifndef ARC_PROXYERR_H
#define ARC_PROXYERR_H

#include <curl/curl.h>

struct arc_dial;
struct arc_err;

/* The error of a dial that its proxy made fail, before there was a way through
 * to the host; NULL when it was not the proxy. */
struct arc_err *arc_proxy_error(const struct arc_dial *dial, CURLcode result);

#endif
