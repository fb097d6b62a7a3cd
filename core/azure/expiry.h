/* SPDX-License-Identifier: MIT */
#ifndef ARC_EXPIRY_H
#define ARC_EXPIRY_H

#include <jansson.h>
#include <stdbool.h>

/* When a token answer expires, in seconds since 1970: expires_in from now, or
 * expires_on, or az's expiresOn, in any of the forms that token services use.
 * prefer_on: az's order, expires_on first. False when there is none. */
bool arc_expiry_read(const json_t *answer, double now, bool prefer_on,
                     double *when);
/* One point in time as text: RFC 3339, "2026-01-02 03:04:05.6" (local time),
 * "1/2/2026 3:04:05 AM +00:00" (UTC), RFC 1123. Pure but for the time zone. */
bool arc_expiry_text(const char *text, double *when);

#endif
