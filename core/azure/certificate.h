/* SPDX-License-Identifier: MIT */
#ifndef ARC_AZURE_CERTIFICATE_H
#define ARC_AZURE_CERTIFICATE_H

#include <jansson.h>

#include "azure/token.h"
#include "crypto/sshcert.h"
#include "crypto/sshkey.h"

enum { ARC_CERTIFICATE_FIELDS = 3 };

/* What makes a token request one for an SSH certificate of this key: the
 * fields, of which jwk (the caller's, kept while they are used) holds a value.
 * False without memory. */
bool arc_certificate_fields(const struct arc_sshkey *key, struct arc_buf *jwk,
                            struct arc_form_field to[ARC_CERTIFICATE_FIELDS]);

/* The certificate of such an answer, checked: of this kind, of this key, valid
 * now. NULL sets *err (owned). What is another token never leaves here. */
struct arc_sshcert *arc_certificate_read(const json_t *answer,
                                         const struct arc_sshkey *key,
                                         double now, struct arc_err **err);
/* The same of a file's line, or its base64 alone; key NULL: only parsed. */
struct arc_sshcert *arc_certificate_parse(const char *text,
                                          const struct arc_sshkey *key,
                                          double now, struct arc_err **err);

#endif
