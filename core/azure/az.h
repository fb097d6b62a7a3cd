/* SPDX-License-Identifier: MIT */
#ifndef ARC_AZ_H
#define ARC_AZ_H

#include "azure/token.h"
#include "loop/loop.h"

/* Runs a command (NULL-ended argv, no shell, stdin empty, its own process
 * group, which is killed at the deadline; without the variables of our own
 * sign-in's secrets) whose stdout is az-like JSON. An absent program is code
 * notfound. NULL without memory. */
struct arc_op *arc_az_token(struct arc_loop *loop, char *const *args,
                            int64_t deadline);
/* The token of an op that succeeded, which owns it. */
struct arc_token *arc_az_token_of(struct arc_op *op);

#endif
