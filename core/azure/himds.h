/* SPDX-License-Identifier: MIT */
#ifndef ARC_HIMDS_H
#define ARC_HIMDS_H

#include <stdbool.h>

#include "util/buf.h"
#include "util/secret.h"

struct arc_err;

enum { ARC_HIMDS_KEY_MAX = 4096 };

/* Appends the path of the key file, ended by NUL, that the Azure Arc agent's
 * challenge names (WWW-Authenticate: Basic realm=PATH): a *.key right in
 * directory. False for anything else: whatever listens on the agent's port
 * could name any file. Pure. */
bool arc_himds_path(const char *challenge, const char *directory,
                    struct arc_buf *path);

/* Reads the key that the challenge names: a regular file, no link, of at most
 * ARC_HIMDS_KEY_MAX bytes, that belongs to root or to whoever owns the
 * directory. A trailing line end is not part of it. NULL, or the error: code
 * `denied` when this user may not read it. */
struct arc_err *arc_himds_read(const char *challenge, const char *directory,
                               struct arc_secret **key);

#endif
