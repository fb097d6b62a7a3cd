/* SPDX-License-Identifier: MIT */
#ifndef ARC_CURLERR_H
#define ARC_CURLERR_H

#include <curl/curl.h>

struct arc_err;

/* The error of a transfer that ended with `result`: the one map from libcurl's
 * codes. text is its CURLOPT_ERRORBUFFER, host is for the message. */
struct arc_err *arc_curl_error(CURL *easy, CURLcode result, const char *text,
                               const char *host);

#endif
