/* SPDX-License-Identifier: MIT */
#include "crypto/crypt.h"

#include <stddef.h>

#include "util/lazy.h"

/* Only the emulator needs it, for its machines' passwords. */
ARC_LAZY("libcrypt.so.1")

char *crypt(const char *key, const char *setting);
FORWARD(char *, crypt, (const char *key, const char *setting), (key, setting),
        NULL)

const char *arc_crypt(const char *password, const char *setting) {
  const char *hash = crypt(password, setting);
  return hash && *hash != '*' ? hash : NULL;
}
