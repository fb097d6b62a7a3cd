/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_SFTP_WIRE_H
#define ARC_SSH_SFTP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

/* The words of SFTP version 3 (draft-ietf-secsh-filexfer-02), as OpenSSH
 * speaks them: put into a buffer, and taken out of a peer's bytes, every read
 * checked. */

struct arc_err;

enum arc_sftp_type {
  ARC_FXP_INIT = 1,
  ARC_FXP_VERSION = 2,
  ARC_FXP_OPEN = 3,
  ARC_FXP_CLOSE = 4,
  ARC_FXP_READ = 5,
  ARC_FXP_WRITE = 6,
  ARC_FXP_LSTAT = 7,
  ARC_FXP_FSTAT = 8,
  ARC_FXP_SETSTAT = 9,
  ARC_FXP_FSETSTAT = 10,
  ARC_FXP_OPENDIR = 11,
  ARC_FXP_READDIR = 12,
  ARC_FXP_REMOVE = 13,
  ARC_FXP_MKDIR = 14,
  ARC_FXP_RMDIR = 15,
  ARC_FXP_REALPATH = 16,
  ARC_FXP_STAT = 17,
  ARC_FXP_RENAME = 18,
  ARC_FXP_READLINK = 19,
  ARC_FXP_SYMLINK = 20,
  ARC_FXP_STATUS = 101,
  ARC_FXP_HANDLE = 102,
  ARC_FXP_DATA = 103,
  ARC_FXP_NAME = 104,
  ARC_FXP_ATTRS = 105,
  ARC_FXP_EXTENDED = 200,
  ARC_FXP_EXTENDED_REPLY = 201
};

enum arc_sftp_status {
  ARC_FX_OK,
  ARC_FX_EOF,
  ARC_FX_NO_SUCH_FILE,
  ARC_FX_PERMISSION_DENIED,
  ARC_FX_FAILURE,
  ARC_FX_BAD_MESSAGE,
  ARC_FX_NO_CONNECTION,
  ARC_FX_CONNECTION_LOST,
  ARC_FX_OP_UNSUPPORTED
};

enum {
  ARC_SFTP_READ = 1,
  ARC_SFTP_WRITE = 2,
  ARC_SFTP_APPEND = 4,
  ARC_SFTP_CREAT = 8,
  ARC_SFTP_TRUNC = 16,
  ARC_SFTP_EXCL = 32
};

/* Which attributes are there. */
enum {
  ARC_SFTP_HAS_SIZE = 1,
  ARC_SFTP_HAS_OWNER = 2,
  ARC_SFTP_HAS_MODE = 4,
  ARC_SFTP_HAS_TIMES = 8
};

struct arc_sftp_attrs {
  uint32_t has;
  uint64_t size;
  uint32_t uid, gid;
  uint32_t mode;         /* with the file's type, as st_mode */
  uint32_t atime, mtime; /* seconds since 1970 */
};

/* One of a list of names; the bytes are the packet's. */
struct arc_sftp_name {
  const uint8_t *name;
  uint32_t n;
  struct arc_sftp_attrs attrs;
};

/* statvfs@openssh.com */
struct arc_sftp_vfs {
  uint64_t block_size, fragment_size, blocks, blocks_free, blocks_available;
  uint64_t files, files_free, files_available, id, flags, name_max;
};

/* limits@openssh.com; 0 = the server does not say. */
struct arc_sftp_limits {
  uint64_t packet, read, write, handles;
};

bool arc_sftp_put_u64(struct arc_buf *buf, uint64_t number);
bool arc_sftp_put_attrs(struct arc_buf *buf,
                        const struct arc_sftp_attrs *attrs);

/* All give false when the bytes do not hold what they should. */
bool arc_sftp_get_attrs(struct arc_cursor *cur, struct arc_sftp_attrs *attrs);
bool arc_sftp_get_name(struct arc_cursor *cur, struct arc_sftp_name *name);
bool arc_sftp_get_vfs(struct arc_cursor *cur, struct arc_sftp_vfs *vfs);
bool arc_sftp_get_limits(struct arc_cursor *cur,
                         struct arc_sftp_limits *limits);
/* How many names a NAME packet holds, each looked at; negative: malformed. */
int64_t arc_sftp_count_names(struct arc_cursor cur);

/* The error of a STATUS packet (its cursor behind the id), or NULL: it says
 * OK. what: "open /etc/shadow". */
struct arc_err *arc_sftp_get_status(struct arc_cursor *cur, const char *what);
/* An error of reason sftp.protocol. */
struct arc_err *arc_sftp_broken(const char *what, const char *how);

/* A path for messages: one line, not too long. */
void arc_sftp_show(char *to, size_t size, const char *path);

#endif
