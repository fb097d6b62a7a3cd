/* SPDX-License-Identifier: MIT */
#ifndef ARC_CLAIMS_H
#define ARC_CLAIMS_H

#include <jansson.h>

#include "util/secret.h"

/* The claims of a JWT, not verified: for showing only. NULL when the secret
 * is no JWT. The caller wipes them (arc_json_wipe). */
json_t *arc_claims_read(const struct arc_secret *token);

/* Blanks out whatever looks like a JWT in text of n bytes (stars). */
void arc_claims_redact(char *text, size_t n);

#endif
