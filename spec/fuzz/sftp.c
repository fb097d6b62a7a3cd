/* SPDX-License-Identifier: MIT */
/* What an SFTP server sends: packets and attributes, at any split, while
 * operations of every kind wait. The first byte: the size of the pieces; the
 * second: which operations. */
#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "net/fdstream.h"
#include "ssh/sftp.h"

enum { OPS = 8, ROUNDS = 64, PIECES_MAX = 4096 };

static const uint8_t version[] = {0, 0, 0, 5, ARC_FXP_VERSION, 0, 0, 0, 3};

static void turn(struct arc_loop *loop) {
  for (int i = 0; i < 4; i++) {
    arc_loop_turn(loop, false);
  }
}

/* What is read is written, and read and written alike. */
static void check_attrs(const struct arc_sftp_attrs *attrs) {
  struct arc_sftp_attrs again;
  struct arc_buf first = {0}, second = {0};
  DEMAND(arc_sftp_put_attrs(&first, attrs));
  struct arc_cursor back = {arc_buf_head(&first), arc_buf_len(&first), false};
  DEMAND(arc_sftp_get_attrs(&back, &again) && !back.left);
  DEMAND(arc_sftp_put_attrs(&second, &again));
  DEMAND(arc_buf_len(&first) == arc_buf_len(&second));
  DEMAND(!memcmp(arc_buf_head(&first), arc_buf_head(&second),
                 arc_buf_len(&first)));
  arc_buf_free(&first);
  arc_buf_free(&second);
}

/* The pure readers, on the same bytes. */
static void read_words(const uint8_t *data, size_t size) {
  struct arc_cursor cur = {data, size, false};
  struct arc_sftp_attrs attrs;
  struct arc_sftp_vfs vfs;
  if (arc_sftp_get_attrs(&cur, &attrs)) {
    check_attrs(&attrs);
  }
  cur = (struct arc_cursor){data, size, false};
  int64_t names = arc_sftp_count_names(cur);
  DEMAND(names <= (int64_t)(size / 12 + 1));
  DEMAND(!arc_sftp_get_vfs(&cur, &vfs) || size >= 88);
  cur = (struct arc_cursor){data, size, false};
  struct arc_err *err = arc_sftp_get_status(&cur, "try");
  if (err) {
    fuzz_check_error(err);
    arc_err_unref(err);
  }
}

static struct arc_op *start(struct arc_sftp *sftp, unsigned which,
                            uint8_t *room) {
  static const enum arc_sftp_kind kinds[] = {
      ARC_SFTP_OP_OPEN,     ARC_SFTP_OP_STAT,    ARC_SFTP_OP_REALPATH,
      ARC_SFTP_OP_READLINK, ARC_SFTP_OP_STATVFS, ARC_SFTP_OP_REMOVE};
  const struct arc_sftp_handle handle = {1, {'h'}};
  const struct arc_sftp_args args = {.path = "p"};
  const struct arc_sftp_transfer what = {.handle = &handle,
                                         .remote = "r",
                                         .fd = -1,
                                         .from = room,
                                         .into = room,
                                         .length = 4096};
  switch (which % 9) {
  case 6:
    return arc_sftp_list(sftp, "d", 1000);
  case 7:
    return arc_sftp_receive(sftp, &what);
  case 8:
    return arc_sftp_send(sftp, &what);
  default:
    return arc_sftp_call(sftp, kinds[which % 9], &args);
  }
}

static void check_op(struct arc_op *op) {
  if (op->done && op->err) {
    fuzz_check_error(op->err);
  }
}

static void check_list(struct arc_op *op) {
  struct arc_cursor at = {0};
  struct arc_sftp_name name;
  uint64_t n = 0;
  while (op->done && !op->err && arc_sftp_list_next(op, &at, &name)) {
    n++;
  }
  DEMAND(!op->done || op->err || n == arc_sftp_list_count(op));
}

/* What we ask is not looked at. */
static void swallow(int fd) {
  uint8_t bytes[4096];
  while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
  }
}

static void feed(struct arc_loop *loop, int fd, struct fuzz_input *in,
                 size_t piece) {
  for (int i = 0; in->left && i < PIECES_MAX; i++) {
    size_t n = piece < in->left ? piece : in->left;
    if (send(fd, in->at, n, MSG_DONTWAIT | MSG_NOSIGNAL) <= 0) {
      return;
    }
    in->at += n;
    in->left -= n;
    turn(loop);
    swallow(fd);
  }
}

/* The operations of an input, begun; NULL where there is no connection. */
static struct arc_sftp *begin_ops(struct arc_op *opening, unsigned which,
                                  uint8_t *room, struct arc_op **ops) {
  if (!opening->done || opening->err) {
    return NULL;
  }
  struct arc_sftp *sftp = arc_sftp_take(opening);
  for (unsigned i = 0; i < OPS; i++) {
    ops[i] = start(sftp, which + i, room);
    DEMAND(ops[i]);
  }
  return sftp;
}

/* The connection is over: all have heard of it. */
static void end_ops(struct arc_op **ops, unsigned which) {
  for (unsigned i = 0; i < OPS && ops[i]; i++) {
    DEMAND(ops[i]->done);
    check_op(ops[i]);
    if ((which + i) % 9 == 6) {
      check_list(ops[i]);
    }
    arc_op_free(ops[i]);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  size_t piece = (size_t)(fuzz_byte(&in) + 1) * 4;
  unsigned which = fuzz_byte(&in);
  uint8_t room[4096] = {0};
  int pair[2];
  read_words(in.at, in.left);
  DEMAND(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                     pair));
  struct arc_loop *loop = arc_loop_new();
  DEMAND(loop);
  struct arc_op *opening =
      arc_sftp_connect(arc_fdstream_new(loop, pair[0], -1, "server"), 60);
  DEMAND(opening);
  if (which & 128) { // else the input says it
    DEMAND(send(pair[1], version, sizeof version, 0) == sizeof version);
  }
  turn(loop);
  struct arc_op *ops[OPS] = {0};
  struct arc_sftp *sftp = begin_ops(opening, which, room, ops);
  turn(loop);
  feed(loop, pair[1], &in, piece);
  close(pair[1]);
  turn(loop);
  check_op(opening);
  end_ops(ops, which);
  arc_op_free(opening);
  if (sftp) {
    arc_sftp_close(sftp);
  }
  arc_loop_free(loop);
  return 0;
}
