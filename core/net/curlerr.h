/* SPDX-License-Identifier: MIT */
#ifndef ARC_CURLERR_H
#define ARC_CURLERR_H

#include <curl/curl.h>

struct arc_dial;
struct arc_err;

/* The error of a dial whose transfer ended with `result`: the one map from
 * libcurl's codes. A proxy is named by host and port, never with what its
 * variable holds. */
struct arc_err *arc_curl_error(const struct arc_dial *dial, CURLcode result);

#endif
