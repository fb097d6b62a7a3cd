/* SPDX-License-Identifier: MIT */
/* The names of a directory: some requests at a time, until the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/sftp_room.h"
#include "util/err.h"

enum { AHEAD = 8, SHOWN = 1000 };

struct list_op {
  struct arc_op op;
  struct arc_sftp *sftp;
  struct arc_sftp_handle handle;
  struct arc_buf names; /* as in packets, one behind the other */
  uint64_t count, most;
  unsigned flying;
  bool ended;
  char what[SHOWN + 8];
};

static void close_handle(struct list_op *l) {
  if (l->handle.n) {
    arc_sftp_forget(l->sftp, &l->handle);
    l->handle.n = 0;
  }
}

/* err is taken over. */
static void end(struct list_op *l, struct arc_err *err) {
  arc_sftp_leave(l->sftp, l);
  close_handle(l);
  arc_op_finish(&l->op, err ? arc_err_at(err, "sftp.list", NULL) : NULL);
}

static bool is_dots(const struct arc_sftp_name *name) {
  return (name->n == 1 || (name->n == 2 && name->name[1] == '.')) &&
         name->name[0] == '.';
}

/* The name and its attributes anew: without what `ls` would show. */
static bool keep(struct list_op *l, const struct arc_sftp_name *name) {
  return arc_buf_string(&l->names, name->name, name->n) &&
         arc_buf_u32(&l->names, 0) &&
         arc_sftp_put_attrs(&l->names, &name->attrs);
}

/* The error of a packet of names, or NULL. */
static struct arc_err *take_names(struct list_op *l, struct arc_cursor *cur) {
  struct arc_sftp_name name;
  uint32_t n = arc_cursor_u32(cur);
  if (!n) {
    return arc_sftp_broken(l->what, "sent no names and no end");
  }
  for (; n; n--) {
    if (!arc_sftp_get_name(cur, &name)) {
      return arc_sftp_broken(l->what, "sent malformed names");
    }
    if (is_dots(&name)) {
      continue;
    }
    if (l->count == l->most) {
      return arc_err_reason("sftp.too-many", "%s: more than %llu names",
                            l->what, (unsigned long long)l->most);
    }
    l->count++;
    if (!keep(l, &name)) {
      return arc_err_new(ARC_E_NOMEM, "out of memory");
    }
  }
  return NULL;
}

static void ask_more(struct list_op *l, unsigned ahead);

static void heard_names(void *owner, const struct arc_sftp_request *request,
                        struct arc_sftp_reply *reply) {
  (void)request;
  struct list_op *l = owner;
  l->flying--;
  if (arc_sftp_is_eof(reply)) {
    end(l, NULL);
    return;
  }
  struct arc_err *err = arc_sftp_reply_error(reply, ARC_FXP_NAME, l->what);
  err = err ? err : take_names(l, &reply->body);
  if (err) {
    end(l, err);
  } else {
    ask_more(l, AHEAD); // a first answer that was no end: it may be long
  }
}

static void ask_more(struct list_op *l, unsigned ahead) {
  const struct arc_sftp_args args = {.handle = &l->handle};
  while (l->flying < ahead && !l->op.done) {
    if (!arc_sftp_ask(l->sftp, ARC_SFTP_OP_READDIR, &args, l, heard_names)) {
      end(l, arc_err_ref(l->sftp->err));
      return;
    }
    l->flying++;
  }
}

static void opened(void *owner, const struct arc_sftp_request *request,
                   struct arc_sftp_reply *reply) {
  (void)request;
  struct list_op *l = owner;
  struct arc_err *err = arc_sftp_reply_error(reply, ARC_FXP_HANDLE, l->what);
  if (!err && !arc_sftp_get_handle(&reply->body, &l->handle)) {
    err = arc_sftp_broken(l->what, "sent a malformed handle");
  }
  if (err) {
    end(l, err);
    return;
  }
  ask_more(l, 2); // the names, and the end that most directories then have
}

static void detach(struct arc_op *op) {
  struct list_op *l = (struct list_op *)op;
  arc_sftp_leave(l->sftp, l);
  close_handle(l);
}

static void destroy(struct arc_op *op) {
  struct list_op *l = (struct list_op *)op;
  close_handle(l);
  arc_sftp_unref(l->sftp);
  arc_buf_free(&l->names);
  free(l);
}

struct arc_op *arc_sftp_list(struct arc_sftp *sftp, const char *path,
                             uint64_t most) {
  static const struct arc_op_class cls = {
      .name = "sftp.list", .detach = detach, .destroy = destroy};
  struct list_op *l = arc_op_new(sftp->loop, &cls, sizeof *l, ARC_FOREVER);
  const struct arc_sftp_args args = {.path = path};
  char shown[SHOWN];
  if (!l) {
    return NULL;
  }
  l->sftp = sftp;
  l->most = most;
  arc_sftp_ref(sftp);
  arc_sftp_show(shown, sizeof shown, path);
  snprintf(l->what, sizeof l->what, "list %s", shown);
  if (!arc_sftp_ask(sftp, ARC_SFTP_OP_OPENDIR, &args, l, opened)) {
    arc_op_finish(&l->op, arc_err_ref(sftp->err));
  }
  return &l->op;
}

bool arc_sftp_list_next(const struct arc_op *op, struct arc_cursor *at,
                        struct arc_sftp_name *name) {
  const struct list_op *l = (const struct list_op *)op;
  if (!at->at) {
    *at = (struct arc_cursor){arc_buf_head(&l->names), arc_buf_len(&l->names),
                              false};
  }
  return at->left && arc_sftp_get_name(at, name);
}

uint64_t arc_sftp_list_count(const struct arc_op *op) {
  return ((const struct list_op *)op)->count;
}
