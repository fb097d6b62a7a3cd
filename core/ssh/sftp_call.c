/* SPDX-License-Identifier: MIT */
/* Operations of one request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/sftp_room.h"
#include "util/err.h"

enum { SHOWN = 1000, WHAT = SHOWN * 2 + 64 };

struct call {
  struct arc_op op;
  struct arc_sftp *sftp;
  enum arc_sftp_kind kind;
  struct arc_sftp_answer answer;
  char *what; /* "open /etc/shadow" */
};

/* ---- answers ---------------------------------------------------------------
 */

bool arc_sftp_is_eof(const struct arc_sftp_reply *reply) {
  struct arc_cursor cur = reply->body;
  return !reply->err && reply->type == ARC_FXP_STATUS &&
         arc_cursor_u32(&cur) == ARC_FX_EOF;
}

struct arc_err *arc_sftp_reply_error(struct arc_sftp_reply *reply,
                                     uint8_t expected, const char *what) {
  if (reply->err) {
    return arc_err_ref(reply->err);
  }
  if (reply->type == ARC_FXP_STATUS) {
    struct arc_err *err = arc_sftp_get_status(&reply->body, what);
    return err || expected == ARC_FXP_STATUS
               ? err
               : arc_sftp_broken(what, "answered only 'OK'");
  }
  return reply->type == expected
             ? NULL
             : arc_sftp_broken(what, "answered something else");
}

bool arc_sftp_get_handle(struct arc_cursor *cur,
                         struct arc_sftp_handle *handle) {
  uint32_t n;
  const uint8_t *bytes = arc_cursor_string(cur, &n);
  if (!bytes || !n || n > sizeof handle->bytes) {
    return false;
  }
  handle->n = n;
  memcpy(handle->bytes, bytes, n);
  return true;
}

/* A reply to somebody who has left: what it opened is closed. */
static void clean_up(void *owner, const struct arc_sftp_request *request,
                     struct arc_sftp_reply *reply) {
  struct arc_sftp_handle handle;
  if (!reply->err && reply->type == ARC_FXP_HANDLE &&
      (request->kind == ARC_SFTP_OP_OPEN ||
       request->kind == ARC_SFTP_OP_OPENDIR) &&
      arc_sftp_get_handle(&reply->body, &handle)) {
    arc_sftp_forget(owner, &handle);
  }
}

void arc_sftp_leave(struct arc_sftp *sftp, const void *owner) {
  for (int i = 0; i < ARC_SFTP_BUCKETS; i++) {
    for (struct arc_sftp_request *r = sftp->requests[i]; r; r = r->next) {
      if (r->owner == owner) {
        r->owner = sftp;
        r->answered = clean_up;
      }
    }
  }
}

void arc_sftp_forget(struct arc_sftp *sftp,
                     const struct arc_sftp_handle *handle) {
  const struct arc_sftp_args args = {.handle = handle};
  arc_sftp_ask(sftp, ARC_SFTP_OP_CLOSE, &args, sftp, clean_up);
}

/* ---- the operation ---------------------------------------------------------
 */

static uint8_t expected(enum arc_sftp_kind kind) {
  switch (kind) {
  case ARC_SFTP_OP_OPEN:
  case ARC_SFTP_OP_OPENDIR:
    return ARC_FXP_HANDLE;
  case ARC_SFTP_OP_STAT:
  case ARC_SFTP_OP_LSTAT:
  case ARC_SFTP_OP_FSTAT:
    return ARC_FXP_ATTRS;
  case ARC_SFTP_OP_REALPATH:
  case ARC_SFTP_OP_READLINK:
    return ARC_FXP_NAME;
  case ARC_SFTP_OP_STATVFS:
    return ARC_FXP_EXTENDED_REPLY;
  default:
    return ARC_FXP_STATUS;
  }
}

/* One name without NUL bytes. */
static bool get_one_name(struct arc_cursor *cur, struct arc_sftp_answer *a) {
  struct arc_sftp_name name;
  if (arc_cursor_u32(cur) != 1 || !arc_sftp_get_name(cur, &name) ||
      memchr(name.name, '\0', name.n)) {
    return false;
  }
  a->name = strndup((const char *)name.name, name.n);
  a->n = name.n;
  return a->name != NULL;
}

static bool read_answer(struct call *c, struct arc_cursor *cur) {
  switch (expected(c->kind)) {
  case ARC_FXP_HANDLE:
    return arc_sftp_get_handle(cur, &c->answer.handle);
  case ARC_FXP_ATTRS:
    return arc_sftp_get_attrs(cur, &c->answer.attrs);
  case ARC_FXP_NAME:
    return get_one_name(cur, &c->answer);
  case ARC_FXP_EXTENDED_REPLY:
    return arc_sftp_get_vfs(cur, &c->answer.vfs);
  default:
    return true;
  }
}

static void answered(void *owner, const struct arc_sftp_request *request,
                     struct arc_sftp_reply *reply) {
  (void)request;
  struct call *c = owner;
  struct arc_err *err = arc_sftp_reply_error(reply, expected(c->kind), c->what);
  if (!err && !read_answer(c, &reply->body)) {
    err = arc_sftp_broken(c->what, "sent a malformed answer");
  }
  arc_op_finish(&c->op,
                err ? arc_err_at(err, arc_sftp_op_name(c->kind), NULL) : NULL);
}

static void detach(struct arc_op *op) {
  struct call *c = (struct call *)op;
  arc_sftp_leave(c->sftp, c);
}

static void destroy(struct arc_op *op) {
  struct call *c = (struct call *)op;
  /* A handle that nobody has taken over is closed. */
  if (c->answer.handle.n) {
    arc_sftp_forget(c->sftp, &c->answer.handle);
  }
  arc_sftp_unref(c->sftp);
  free(c->answer.name);
  free(c->what);
  free(c);
}

static char *describe(enum arc_sftp_kind kind, const struct arc_sftp_args *a) {
  char path[SHOWN], to[SHOWN], text[WHAT];
  arc_sftp_show(path, sizeof path, a->path ? a->path : "");
  arc_sftp_show(to, sizeof to, a->path2 ? a->path2 : "");
  snprintf(text, sizeof text, "%s %s%s%s", arc_sftp_verb(kind), path,
           a->path2 ? " to " : "", to);
  return strdup(text);
}

struct arc_op *arc_sftp_call(struct arc_sftp *sftp, enum arc_sftp_kind kind,
                             const struct arc_sftp_args *args) {
  static const struct arc_op_class cls = {
      .name = "sftp", .detach = detach, .destroy = destroy};
  struct call *c = arc_op_new(sftp->loop, &cls, sizeof *c, ARC_FOREVER);
  if (!c) {
    return NULL;
  }
  c->sftp = sftp;
  c->kind = kind;
  arc_sftp_ref(sftp);
  c->what = describe(kind, args);
  if (!c->what) {
    arc_op_finish(&c->op, arc_err_new(ARC_E_NOMEM, "out of memory"));
  } else if (!arc_sftp_ask(sftp, kind, args, c, answered)) {
    arc_op_finish(&c->op, arc_err_ref(sftp->err));
  }
  return &c->op;
}

const struct arc_sftp_answer *arc_sftp_answer(const struct arc_op *op) {
  return &((const struct call *)op)->answer;
}

void arc_sftp_take_handle(struct arc_op *op, struct arc_sftp_handle *handle) {
  struct call *c = (struct call *)op;
  *handle = c->answer.handle;
  c->answer.handle.n = 0;
}
