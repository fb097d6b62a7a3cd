/* SPDX-License-Identifier: MIT */
#include "net/connect.h"

#include <stdlib.h>

#include "net/curlerr.h"
#include "net/curlstream.h"
#include "net/dial.h"
#include "util/err.h"

struct connect_op {
  struct arc_op op;
  struct arc_op_class cls; /* its own, for the name */
  struct arc_dial *dial;
  struct arc_stream *stream;
};

static void detach(struct arc_op *op) {
  struct connect_op *connect = (struct connect_op *)op;
  if (connect->dial) {
    arc_dial_close(connect->dial);
    free(connect->dial);
    connect->dial = NULL;
  }
}

static void destroy(struct arc_op *op) {
  detach(op);
  arc_stream_abort(((struct connect_op *)op)->stream, NULL);
  free(op);
}

static void connected(void *arg, struct arc_err *err) {
  struct connect_op *connect = arg;
  if (!err) {
    connect->stream = arc_curlstream_new(connect->dial, &err);
    connect->dial = connect->stream ? NULL : connect->dial;
  }
  arc_op_finish(&connect->op, err ? arc_err_at(err, NULL, "connect") : NULL);
}

static struct arc_err *prepare(struct connect_op *connect, const char *url,
                               const char *ca, double connect_timeout) {
  connect->dial = calloc(1, sizeof *connect->dial);
  if (!connect->dial) {
    return arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  connect->dial->done = connected;
  connect->dial->arg = connect;
  connect->dial->read_ahead = true;
  struct arc_err *err =
      arc_dial_open(connect->dial, connect->op.loop, ARC_MULTI_CONNECT, url, ca,
                    connect_timeout);
  if (!err) {
    curl_easy_setopt(connect->dial->transfer.easy, CURLOPT_CONNECT_ONLY, 1L);
  }
  return err;
}

struct arc_op *arc_connect_start(struct arc_loop *loop, const char *name,
                                 const char *url, const char *ca,
                                 double connect_timeout) {
  static const struct arc_op_class base = {.detach = detach,
                                           .destroy = destroy};
  struct connect_op *connect =
      arc_op_new(loop, &base, sizeof *connect, ARC_FOREVER);
  if (!connect) {
    return NULL;
  }
  connect->cls = base;
  connect->cls.name = name;
  connect->op.cls = &connect->cls;
  struct arc_err *err = prepare(connect, url, ca, connect_timeout);
  if (err) {
    arc_op_finish(&connect->op, err);
  } else {
    arc_dial_start(connect->dial);
  }
  return &connect->op;
}

struct arc_err *arc_connect_late(struct arc_op *op) {
  struct connect_op *connect = (struct connect_op *)op;
  struct arc_err *err =
      connect->dial ? arc_curl_error(connect->dial, CURLE_OPERATION_TIMEDOUT)
                    : arc_err_new(ARC_E_TIMEOUT, "no connection in time");
  return arc_err_at(err, NULL, "connect");
}

struct arc_stream *arc_connect_take(struct arc_op *op) {
  struct connect_op *connect = (struct connect_op *)op;
  struct arc_stream *stream = connect->stream;
  connect->stream = NULL;
  return stream;
}
