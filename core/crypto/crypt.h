/* SPDX-License-Identifier: MIT */
#ifndef ARC_CRYPT_H
#define ARC_CRYPT_H

/* crypt(3): the hash of a password as /etc/shadow has it, in a static buffer;
 * NULL: the setting is wrong, or the library is not there. */
const char *arc_crypt(const char *password, const char *setting);

#endif
