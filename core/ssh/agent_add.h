/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_AGENT_ADD_H
#define ARC_SSH_AGENT_ADD_H

#include "crypto/sshcert.h"
#include "crypto/sshkey.h"

/* The message, its length before it, that gives an agent the key with its
 * certificate for so many seconds. NULL without memory, or without the private
 * half. */
struct arc_secret *arc_agent_add_message(const struct arc_sshkey *key,
                                         const struct arc_sshcert *cert,
                                         const char *comment, uint32_t seconds);

#endif
