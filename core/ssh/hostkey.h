/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_HOSTKEY_H
#define ARC_SSH_HOSTKEY_H

#include <stdbool.h>

struct arc_err;
struct arc_session;

/* Asks for the types of key first that are known for the host. False: the
 * session is dead. */
bool arc_hostkey_prefer(struct arc_session *session);
/* After key exchange: judges the key by known_hosts and policy, notes a new
 * one down. NULL: go on; else why not (owned). */
struct arc_err *arc_hostkey_check(struct arc_session *session);
/* The same for a probe: the key is noted in the session only. */
struct arc_err *arc_hostkey_look(struct arc_session *session);

#endif
