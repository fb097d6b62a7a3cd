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

/* The claims of a request by a client that can answer a challenge (capability
 * CP1), with those that a challenge asks for (NULL: none) besides. To be freed;
 * NULL when the challenge is no JSON object, or without memory. */
char *arc_claims_declare(const char *challenge, size_t n);

#endif
