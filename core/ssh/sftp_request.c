/* SPDX-License-Identifier: MIT */
/* Requests: how each kind is written, who waits for its answer. */
#include <stdlib.h>
#include <string.h>

#include "ssh/sftp_room.h"
#include "util/err.h"

/* body: p path, q path2, h handle, H handle2, f flags, a attributes, o offset,
 * O offset2, l length (64 bits), n length (32 bits) */
static const struct kind {
  const char *op, *verb;
  uint8_t type;
  const char *extension;
  const char *body;
} kinds[ARC_SFTP_OPS] = {
    [ARC_SFTP_OP_OPEN] = {"sftp.open", "open", ARC_FXP_OPEN, NULL, "pfa"},
    [ARC_SFTP_OP_CLOSE] = {"sftp.close", "close", ARC_FXP_CLOSE, NULL, "h"},
    [ARC_SFTP_OP_READ] = {"sftp.read", "read", ARC_FXP_READ, NULL, "hon"},
    [ARC_SFTP_OP_WRITE] = {"sftp.write", "write", ARC_FXP_WRITE, NULL, "ho"},
    [ARC_SFTP_OP_FSTAT] = {"sftp.stat", "look at", ARC_FXP_FSTAT, NULL, "h"},
    [ARC_SFTP_OP_LSTAT] = {"sftp.lstat", "look at", ARC_FXP_LSTAT, NULL, "p"},
    [ARC_SFTP_OP_STAT] = {"sftp.stat", "look at", ARC_FXP_STAT, NULL, "p"},
    [ARC_SFTP_OP_SETSTAT] = {"sftp.setstat", "set attributes of",
                             ARC_FXP_SETSTAT, NULL, "pa"},
    [ARC_SFTP_OP_FSETSTAT] = {"sftp.setstat", "set attributes of",
                              ARC_FXP_FSETSTAT, NULL, "ha"},
    [ARC_SFTP_OP_OPENDIR] = {"sftp.list", "list", ARC_FXP_OPENDIR, NULL, "p"},
    [ARC_SFTP_OP_READDIR] = {"sftp.list", "list", ARC_FXP_READDIR, NULL, "h"},
    [ARC_SFTP_OP_REMOVE] = {"sftp.remove", "remove", ARC_FXP_REMOVE, NULL, "p"},
    [ARC_SFTP_OP_MKDIR] = {"sftp.mkdir", "make directory", ARC_FXP_MKDIR, NULL,
                           "pa"},
    [ARC_SFTP_OP_RMDIR] = {"sftp.rmdir", "remove directory", ARC_FXP_RMDIR,
                           NULL, "p"},
    [ARC_SFTP_OP_REALPATH] = {"sftp.realpath", "resolve", ARC_FXP_REALPATH,
                              NULL, "p"},
    [ARC_SFTP_OP_RENAME] = {"sftp.rename", "rename", ARC_FXP_RENAME, NULL,
                            "pq"},
    [ARC_SFTP_OP_READLINK] = {"sftp.readlink", "read link", ARC_FXP_READLINK,
                              NULL, "p"},
    /* OpenSSH takes the two the other way round than the draft has them */
    [ARC_SFTP_OP_SYMLINK] = {"sftp.symlink", "make link", ARC_FXP_SYMLINK, NULL,
                             "qp"},
    [ARC_SFTP_OP_POSIX_RENAME] = {"sftp.rename", "rename", ARC_FXP_EXTENDED,
                                  "posix-rename@openssh.com", "pq"},
    [ARC_SFTP_OP_FSYNC] = {"sftp.sync", "write to disk", ARC_FXP_EXTENDED,
                           "fsync@openssh.com", "h"},
    [ARC_SFTP_OP_STATVFS] = {"sftp.statvfs", "look at the file system of",
                             ARC_FXP_EXTENDED, "statvfs@openssh.com", "p"},
    [ARC_SFTP_OP_LIMITS] = {"sftp.limits", "ask for limits", ARC_FXP_EXTENDED,
                            "limits@openssh.com", ""},
    [ARC_SFTP_OP_COPY_DATA] = {"sftp.copy_data", "copy", ARC_FXP_EXTENDED,
                               "copy-data", "holHO"}};

/* type, id, length of the handle, offset, length of the data */
enum { LENGTH = 4, WRITE_BODY = 1 + 4 + 4 + 8 + 4 };

const char *arc_sftp_op_name(enum arc_sftp_kind kind) { return kinds[kind].op; }

const char *arc_sftp_verb(enum arc_sftp_kind kind) { return kinds[kind].verb; }

static bool put_handle(struct arc_buf *buf, const struct arc_sftp_handle *h) {
  return arc_buf_string(buf, h->bytes, h->n);
}

static bool put_path(struct arc_buf *buf, const char *path) {
  return arc_buf_string(buf, path, strlen(path));
}

static bool put_part(struct arc_buf *buf, char part,
                     const struct arc_sftp_args *args) {
  switch (part) {
  case 'p':
    return put_path(buf, args->path);
  case 'q':
    return put_path(buf, args->path2);
  case 'h':
    return put_handle(buf, args->handle);
  case 'H':
    return put_handle(buf, args->handle2);
  case 'f':
    return arc_buf_u32(buf, args->flags);
  case 'a':
    return arc_sftp_put_attrs(buf, &args->attrs);
  case 'o':
    return arc_sftp_put_u64(buf, args->offset);
  case 'O':
    return arc_sftp_put_u64(buf, args->offset2);
  case 'l':
    return arc_sftp_put_u64(buf, args->length);
  default: // 'n'
    return arc_buf_u32(buf, (uint32_t)args->length);
  }
}

/* The packet behind its length. */
static bool put_body(struct arc_buf *buf, const struct kind *kind, uint32_t id,
                     const struct arc_sftp_args *args) {
  if (!arc_buf_append(buf, &kind->type, 1) || !arc_buf_u32(buf, id) ||
      (kind->extension && !put_path(buf, kind->extension))) {
    return false;
  }
  for (const char *part = kind->body; *part; part++) {
    if (!put_part(buf, *part, args)) {
      return false;
    }
  }
  return true;
}

static void patch(struct arc_buf *buf, size_t at, uint32_t n) {
  uint8_t *to = buf->data + buf->start + at;
  for (int i = 0; i < LENGTH; i++) {
    to[i] = (uint8_t)(n >> 8 * (LENGTH - 1 - i));
  }
}

/* All of it, or nothing. */
static bool put_packet(struct arc_buf *out, const struct kind *kind,
                       uint32_t id, const struct arc_sftp_args *args) {
  size_t before = arc_buf_len(out);
  if (!arc_buf_u32(out, 0) || !put_body(out, kind, id, args)) {
    out->end = out->start + before;
    return false;
  }
  patch(out, before, (uint32_t)(arc_buf_len(out) - before - LENGTH));
  return true;
}

static struct arc_sftp_request *
add(struct arc_sftp *sftp, enum arc_sftp_kind kind, uint32_t id, void *owner,
    void (*answered)(void *, const struct arc_sftp_request *,
                     struct arc_sftp_reply *)) {
  struct arc_sftp_request *r = calloc(1, sizeof *r);
  if (r) {
    r->id = id;
    r->kind = kind;
    r->owner = owner;
    r->answered = answered;
    r->next = sftp->requests[id % ARC_SFTP_BUCKETS];
    sftp->requests[id % ARC_SFTP_BUCKETS] = r;
  }
  return r;
}

static void starve(struct arc_sftp *sftp) {
  arc_sftp_fail(sftp, arc_err_new(ARC_E_NOMEM, "out of memory"));
}

struct arc_sftp_request *
arc_sftp_ask(struct arc_sftp *sftp, enum arc_sftp_kind kind,
             const struct arc_sftp_args *args, void *owner,
             void (*answered)(void *, const struct arc_sftp_request *,
                              struct arc_sftp_reply *)) {
  if (sftp->err) {
    return NULL;
  }
  uint32_t id = ++sftp->last_id;
  struct arc_sftp_request *r = NULL;
  if (put_packet(&sftp->out, &kinds[kind], id, args)) {
    r = add(sftp, kind, id, owner, answered);
  }
  if (!r) {
    starve(sftp);
    return NULL;
  }
  r->offset = args->offset;
  r->length = (uint32_t)args->length;
  sftp->asked += kind == ARC_SFTP_OP_READ ? r->length : 0;
  arc_sftp_kick(sftp);
  return r;
}

uint8_t *arc_sftp_write_room(struct arc_sftp *sftp,
                             const struct arc_sftp_handle *handle,
                             uint32_t most) {
  size_t head = LENGTH + WRITE_BODY + handle->n;
  uint8_t *room = sftp->err ? NULL : arc_buf_reserve(&sftp->out, head + most);
  if (!room && !sftp->err) {
    starve(sftp);
  }
  return room ? room + head : NULL;
}

/* What the room was left for; the data is behind it already. */
struct arc_sftp_request *
arc_sftp_write_send(struct arc_sftp *sftp, const struct arc_sftp_handle *handle,
                    uint64_t offset, uint32_t n, void *owner,
                    void (*answered)(void *, const struct arc_sftp_request *,
                                     struct arc_sftp_reply *)) {
  static const uint8_t type = ARC_FXP_WRITE;
  uint32_t id = ++sftp->last_id;
  struct arc_sftp_request *r =
      add(sftp, ARC_SFTP_OP_WRITE, id, owner, answered);
  if (!r) {
    starve(sftp);
    return NULL;
  }
  struct arc_buf *out = &sftp->out;
  arc_buf_u32(out, WRITE_BODY + handle->n + n);
  arc_buf_append(out, &type, 1);
  arc_buf_u32(out, id);
  put_handle(out, handle);
  arc_sftp_put_u64(out, offset);
  arc_buf_u32(out, n);
  arc_buf_commit(out, n);
  r->offset = offset;
  r->length = n;
  return r;
}
