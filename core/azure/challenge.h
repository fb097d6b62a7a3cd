/* SPDX-License-Identifier: MIT */
#ifndef ARC_CHALLENGE_H
#define ARC_CHALLENGE_H

#include <stdbool.h>

#include "util/buf.h"

/* Finds a parameter of a scheme in the value of a WWW-Authenticate header (RFC
 * 9110 §11.6.1; several challenges may stand in it) and appends its value. Both
 * names are in lower case. False when there is none, or no memory; what comes
 * behind text that is no challenge is not looked at. */
bool arc_challenge_param(const char *header, const char *scheme,
                         const char *name, struct arc_buf *to);

/* Appends the claims that a Bearer challenge asks for, decoded: a JSON object.
 * False when there are none. */
bool arc_challenge_claims(const char *header, struct arc_buf *to);

#endif
