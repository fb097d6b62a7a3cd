/* SPDX-License-Identifier: MIT */
#ifndef ARC_ARMERR_H
#define ARC_ARMERR_H

#include <stdbool.h>
#include <stddef.h>

struct arc_err;

/* What ARM's error says beside its message: printable text, cut where it is
 * longer; "" = nothing. */
struct arc_arm_facts {
  char code[80];    /* "ResourceNotFound" */
  char target[200]; /* of the error, else of its first detail */
};

/* The error of an ARM answer that is no success: the one place where ARM's
 * error bodies are read. A 412 of listCredentials says that SSH is not set
 * up. Sets status, and *facts. Pure; never NULL. */
struct arc_err *arc_arm_error(int status, const char *body, size_t n,
                              bool list_credentials,
                              struct arc_arm_facts *facts);

#endif
