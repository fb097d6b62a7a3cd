/* SPDX-License-Identifier: MIT */
#include "ssh/sftp_wire.h"

#include <stdio.h>
#include <string.h>

#include "util/err.h"

#define EXTENDED_ATTRS 0x80000000U

enum { SAID_MAX = 300 };

bool arc_sftp_put_u64(struct arc_buf *buf, uint64_t number) {
  return arc_buf_u32(buf, (uint32_t)(number >> 32)) &&
         arc_buf_u32(buf, (uint32_t)number);
}

static bool put_pair(struct arc_buf *buf, uint32_t a, uint32_t b) {
  return arc_buf_u32(buf, a) && arc_buf_u32(buf, b);
}

bool arc_sftp_put_attrs(struct arc_buf *buf, const struct arc_sftp_attrs *a) {
  uint32_t has = a->has & (ARC_SFTP_HAS_SIZE | ARC_SFTP_HAS_OWNER |
                           ARC_SFTP_HAS_MODE | ARC_SFTP_HAS_TIMES);
  return arc_buf_u32(buf, has) &&
         (!(has & ARC_SFTP_HAS_SIZE) || arc_sftp_put_u64(buf, a->size)) &&
         (!(has & ARC_SFTP_HAS_OWNER) || put_pair(buf, a->uid, a->gid)) &&
         (!(has & ARC_SFTP_HAS_MODE) || arc_buf_u32(buf, a->mode)) &&
         (!(has & ARC_SFTP_HAS_TIMES) || put_pair(buf, a->atime, a->mtime));
}

static void skip_extended(struct arc_cursor *cur) {
  uint32_t n;
  for (uint32_t pairs = arc_cursor_u32(cur); pairs && !cur->failed; pairs--) {
    arc_cursor_string(cur, &n);
    arc_cursor_string(cur, &n);
  }
}

bool arc_sftp_get_attrs(struct arc_cursor *cur, struct arc_sftp_attrs *a) {
  memset(a, 0, sizeof *a);
  a->has = arc_cursor_u32(cur);
  if (a->has & ARC_SFTP_HAS_SIZE) {
    a->size = arc_cursor_u64(cur);
  }
  if (a->has & ARC_SFTP_HAS_OWNER) {
    a->uid = arc_cursor_u32(cur);
    a->gid = arc_cursor_u32(cur);
  }
  if (a->has & ARC_SFTP_HAS_MODE) {
    a->mode = arc_cursor_u32(cur);
  }
  if (a->has & ARC_SFTP_HAS_TIMES) {
    a->atime = arc_cursor_u32(cur);
    a->mtime = arc_cursor_u32(cur);
  }
  if (a->has & EXTENDED_ATTRS) {
    skip_extended(cur);
  }
  return !cur->failed;
}

bool arc_sftp_get_name(struct arc_cursor *cur, struct arc_sftp_name *name) {
  uint32_t n;
  name->name = arc_cursor_string(cur, &name->n);
  arc_cursor_string(cur, &n); // as `ls -l` shows it
  return arc_sftp_get_attrs(cur, &name->attrs);
}

int64_t arc_sftp_count_names(struct arc_cursor cur) {
  struct arc_sftp_name name;
  uint32_t count = arc_cursor_u32(&cur);
  for (uint32_t i = 0; i < count; i++) {
    if (!arc_sftp_get_name(&cur, &name)) {
      return -1;
    }
  }
  return cur.failed ? -1 : (int64_t)count;
}

bool arc_sftp_get_vfs(struct arc_cursor *cur, struct arc_sftp_vfs *vfs) {
  uint64_t *const members[] = {
      &vfs->block_size,  &vfs->fragment_size,    &vfs->blocks,
      &vfs->blocks_free, &vfs->blocks_available, &vfs->files,
      &vfs->files_free,  &vfs->files_available,  &vfs->id,
      &vfs->flags,       &vfs->name_max};
  for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
    *members[i] = arc_cursor_u64(cur);
  }
  return !cur->failed;
}

bool arc_sftp_get_limits(struct arc_cursor *cur, struct arc_sftp_limits *l) {
  l->packet = arc_cursor_u64(cur);
  l->read = arc_cursor_u64(cur);
  l->write = arc_cursor_u64(cur);
  l->handles = arc_cursor_u64(cur);
  return !cur->failed;
}

struct arc_err *arc_sftp_broken(const char *what, const char *how) {
  return arc_err_reason("sftp.protocol", "%s: the SFTP server %s", what, how);
}

/* What the server adds in words, unless these only repeat the number's name:
 * then nothing. */
static void note_said(char *to, size_t size, struct arc_cursor *cur) {
  static const char *const names[] = {"Success",       "End of file",
                                      "No such file",  "Permission denied",
                                      "Failure",       "Bad message",
                                      "No connection", "Connection lost",
                                      "Unsupported",   "Operation unsupported"};
  uint32_t n;
  const uint8_t *text = arc_cursor_string(cur, &n);
  to[0] = '\0';
  if (!text || !n) {
    return;
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strlen(names[i]) == n && !memcmp(names[i], text, n)) {
      return;
    }
  }
  snprintf(to, size, " (%.*s)", (int)(n < SAID_MAX ? n : SAID_MAX), text);
}

struct arc_err *arc_sftp_get_status(struct arc_cursor *cur, const char *what) {
  static const struct {
    const char *reason, *text;
  } known[] = {
      [ARC_FX_EOF] = {"sftp.failure", "end of file"},
      [ARC_FX_NO_SUCH_FILE] = {"sftp.not-found", "no such file or directory"},
      [ARC_FX_PERMISSION_DENIED] = {"sftp.denied", "permission denied"},
      [ARC_FX_FAILURE] = {"sftp.failure", "the SFTP server says no more than "
                                          "'Failure'"},
      [ARC_FX_BAD_MESSAGE] = {"sftp.protocol",
                              "the SFTP server calls the request malformed"},
      [ARC_FX_NO_CONNECTION] = {"sftp.closed", "no connection"},
      [ARC_FX_CONNECTION_LOST] = {"sftp.closed", "connection lost"},
      [ARC_FX_OP_UNSUPPORTED] = {"sftp.unsupported",
                                 "the SFTP server cannot do this"}};
  char said[SAID_MAX + 8];
  uint32_t code = arc_cursor_u32(cur);
  if (cur->failed) {
    return arc_sftp_broken(what, "sent a status without a number");
  }
  if (code == ARC_FX_OK) {
    return NULL;
  }
  note_said(said, sizeof said, cur);
  if (code >= sizeof known / sizeof *known) {
    return arc_err_reason("sftp.failure", "%s: the SFTP server says %u%s", what,
                          code, said);
  }
  struct arc_err *err = arc_err_reason(known[code].reason, "%s: %s%s", what,
                                       known[code].text, said);
  if (err->refs) {
    err->status = (int)code;
  }
  return err;
}

void arc_sftp_show(char *to, size_t size, const char *path) {
  size_t at = 0;
  for (; *path && at + 5 < size; path++) {
    if (*path == '\n' || *path == '\t') {
      at += (size_t)snprintf(to + at, size - at, "\\x%02x",
                             (unsigned)(unsigned char)*path);
    } else {
      to[at++] = *path;
    }
  }
  to[at] = '\0';
}
