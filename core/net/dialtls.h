/* SPDX-License-Identifier: MIT */
#ifndef ARC_DIALTLS_H
#define ARC_DIALTLS_H

#include <curl/curl.h>

struct arc_dial;
struct arc_err;

/* CURLOPT_SSL_CTX_FUNCTION, whose argument is the dial: the trust store, the
 * groups, and a look at the certificates while they are verified. It runs for
 * an https proxy too, before it runs for the host. */
CURLcode arc_dialtls_set_up(CURL *easy, void *ctx, void *arg);
/* Lets go of the certificates that were kept for an error's text. */
void arc_dialtls_forget(struct arc_dial *dial);

/* Why the handshake of this dial failed: text is libcurl's, verdict an
 * X509_V_… (X509_V_OK: not the chain), who the peer's name. */
struct arc_err *arc_dialtls_untrusted(const struct arc_dial *dial, long verdict,
                                      const char *who);
struct arc_err *arc_dialtls_failed(CURL *easy, const char *text,
                                   const char *who);

#endif
