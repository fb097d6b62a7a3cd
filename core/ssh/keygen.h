/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_KEYGEN_H
#define ARC_SSH_KEYGEN_H

/* Makes an ed25519 key pair: PATH (0600, OpenSSH's format) and PATH.pub.
 * NULL: *line is the public line (malloc); else why not (owned). A file that
 * exists is not touched. */
struct arc_err *arc_ssh_keygen(const char *path, const char *comment,
                               char **line);
/* Writes a pair: PATH (0600) with the private text, PATH.pub with the line,
 * which ends with a newline. NULL, or why not (owned); then there is neither. A
 * file that exists is not touched. */
struct arc_err *arc_ssh_write_pair(const char *path, const char *private_text,
                                   const char *line);

#endif
