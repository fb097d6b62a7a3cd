/* SPDX-License-Identifier: MIT */
#ifndef ARC_REDIRECT_H
#define ARC_REDIRECT_H

#include "util/secret.h"

struct arc_err;

/* Reads a request to http://localhost:port as the end of the sign-in that has
 * this state: a form, as a code in an address would be in the browser's
 * history. The status to answer with: 200, and *code or *err (what Entra says)
 * is the caller's; 404 for anything else that may come to the port, 405 for an
 * address that has to be posted to, 400 for the end of another sign-in, or of
 * none. 500 without memory. */
int arc_redirect_read(const struct arc_secret *request, int port,
                      const char *state, struct arc_secret **code,
                      struct arc_err **err);

#endif
