/* SPDX-License-Identifier: MIT */
#ifndef ARC_LSSHKEY_H
#define ARC_LSSHKEY_H

#include <lua.h>

#include "azure/token.h"
#include "crypto/sshkey.h"
#include "ssh/certified.h"

/* Adds its functions to the table on top of the stack (core.crypto). */
void arc_add_sshkey(lua_State *L);

/* The open key at index, or NULL for nil; else raises, naming the option. */
struct arc_sshkey *arc_optsshkey(lua_State *L, int index, const char *option);
/* Pushes a certificate that was given for the key; both are taken references
 * of. */
void arc_pushsshcert(lua_State *L, struct arc_sshcert *cert,
                     struct arc_sshkey *key);
/* ssh.agent_message: (certificate, comment, seconds), a secret. */
int arc_sshkey_lmessage(lua_State *L);
/* What to log in with, borrowed from the certificate at index; NULL for nil,
 * and with *err (owned) when it cannot be used. Raises when it is closed or
 * came without its private key. */
struct arc_certified *arc_optcertified(lua_State *L, int index,
                                       const char *option,
                                       struct arc_err **err);

#endif
