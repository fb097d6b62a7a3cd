/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_SFTP_H
#define ARC_SSH_SFTP_H

#include "loop/loop.h"
#include "net/stream.h"
#include "ssh/meter.h"
#include "ssh/sftp_wire.h"

/* A client of SFTP over any stream, which is usually a channel with the
 * subsystem "sftp". Requests are sent without waiting for earlier answers;
 * small ones that are made in one turn leave together. Counted by references:
 * its handle and each operation hold one. */
struct arc_sftp;

/* What a server may have beyond version 3. */
enum arc_sftp_extension {
  ARC_SFTP_POSIX_RENAME,
  ARC_SFTP_FSYNC,
  ARC_SFTP_STATVFS,
  ARC_SFTP_LIMITS,
  ARC_SFTP_COPY_DATA,
  ARC_SFTP_EXTENSIONS
};

/* Takes the stream over. timeout: seconds until the server has said its
 * version. arc_sftp_take gives the connection of an operation that went well,
 * with the one reference of its handle. NULL without memory. */
struct arc_op *arc_sftp_connect(struct arc_stream *stream, double timeout);
struct arc_sftp *arc_sftp_take(struct arc_op *op);
/* Ends it: whatever waits is told `closed`. */
void arc_sftp_close(struct arc_sftp *sftp);
bool arc_sftp_has(const struct arc_sftp *sftp, enum arc_sftp_extension which);
/* How its name is written on the wire. */
const char *arc_sftp_extension_name(enum arc_sftp_extension which);
const struct arc_sftp_limits *arc_sftp_limits(const struct arc_sftp *sftp);

/* ---- single requests ------------------------------------------------------
 */

enum arc_sftp_kind {
  ARC_SFTP_OP_OPEN,
  ARC_SFTP_OP_CLOSE,
  ARC_SFTP_OP_READ,  /* of transfers */
  ARC_SFTP_OP_WRITE, /* likewise */
  ARC_SFTP_OP_FSTAT,
  ARC_SFTP_OP_LSTAT,
  ARC_SFTP_OP_STAT,
  ARC_SFTP_OP_SETSTAT,
  ARC_SFTP_OP_FSETSTAT,
  ARC_SFTP_OP_OPENDIR,
  ARC_SFTP_OP_READDIR,
  ARC_SFTP_OP_REMOVE,
  ARC_SFTP_OP_MKDIR,
  ARC_SFTP_OP_RMDIR,
  ARC_SFTP_OP_REALPATH,
  ARC_SFTP_OP_RENAME,
  ARC_SFTP_OP_READLINK,
  ARC_SFTP_OP_SYMLINK,
  ARC_SFTP_OP_POSIX_RENAME,
  ARC_SFTP_OP_FSYNC,
  ARC_SFTP_OP_STATVFS,
  ARC_SFTP_OP_LIMITS,
  ARC_SFTP_OP_COPY_DATA,
  ARC_SFTP_OPS
};

struct arc_sftp_handle {
  uint32_t n; /* 0: none */
  uint8_t bytes[256];
};

/* What a request says; each kind takes what it needs. */
struct arc_sftp_args {
  const char *path, *path2; /* path2: the new name; where a link leads */
  const struct arc_sftp_handle *handle, *handle2;
  uint32_t flags; /* of open */
  struct arc_sftp_attrs attrs;
  uint64_t offset, length, offset2;
};

struct arc_sftp_answer {
  struct arc_sftp_handle handle;
  struct arc_sftp_attrs attrs;
  struct arc_sftp_vfs vfs;
  char *name; /* NUL terminated; of realpath and readlink */
  size_t n;
};

/* An operation: one request and its answer. What the server opens for one
 * that was cancelled is closed again. args are copied. NULL without memory. */
struct arc_op *arc_sftp_call(struct arc_sftp *sftp, enum arc_sftp_kind kind,
                             const struct arc_sftp_args *args);
const struct arc_sftp_answer *arc_sftp_answer(const struct arc_op *op);
/* The handle of an open that went well; else it is closed with the operation.
 */
void arc_sftp_take_handle(struct arc_op *op, struct arc_sftp_handle *handle);
/* Closes a handle that nobody waits for. */
void arc_sftp_forget(struct arc_sftp *sftp,
                     const struct arc_sftp_handle *handle);

/* ---- directories ----------------------------------------------------------
 */

/* All names of a directory but . and .., in the server's order; no more than
 * `most`. NULL without memory. */
struct arc_op *arc_sftp_list(struct arc_sftp *sftp, const char *path,
                             uint64_t most);
/* Each call gives the next name until false; from the beginning when *at is
 * zeroed. */
bool arc_sftp_list_next(const struct arc_op *op, struct arc_cursor *at,
                        struct arc_sftp_name *name);
uint64_t arc_sftp_list_count(const struct arc_op *op);

/* ---- file data ------------------------------------------------------------
 */

enum { ARC_SFTP_TO_END = -1 };

/* Bytes between a file of the server's and a local one, or memory. The
 * descriptor is duplicated; memory is borrowed until the operation is freed.
 */
struct arc_sftp_transfer {
  const struct arc_sftp_handle *handle;
  const char *remote, *local; /* for messages */
  int fd;                     /* of the local file; -1: memory */
  const void *from;           /* to be sent */
  uint8_t *into;              /* to receive: room for length bytes */
  uint64_t offset;            /* in both files; memory begins at it */
  int64_t length;             /* ARC_SFTP_TO_END: all that there is */
  uint64_t size;              /* receive: where the end is believed to be */
  struct arc_meter *meter;    /* or NULL */
};

/* The operation ends when the last byte was acknowledged, or written. NULL
 * without memory. */
struct arc_op *arc_sftp_send(struct arc_sftp *sftp,
                             const struct arc_sftp_transfer *what);
struct arc_op *arc_sftp_receive(struct arc_sftp *sftp,
                                const struct arc_sftp_transfer *what);
/* Bytes that were acknowledged, or written: all from the offset on when the
 * operation went well. */
uint64_t arc_sftp_moved(const struct arc_op *op);

#endif
