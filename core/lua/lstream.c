/* SPDX-License-Identifier: MIT */
/* Streams, TCP, splice. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lua/lcore.h"
#include "net/fdstream.h"
#include "net/splice.h"
#include "net/tcp.h"
#include "net/unix.h"

#define STREAM "arclua.stream"
#define LISTENER "arclua.listener"

enum { STREAK_MAX = 32 }; /* reads and writes without a turn of the loop */

struct lstream;

/* A pending read or write. */
struct io_op {
  struct arc_op op;
  struct lstream *owner; /* NULL once it has left */
  const char *from;      /* write: what is left; the Lua string is on the
                            stack of the waiting coroutine */
  size_t left;
  uint8_t *to; /* read */
  ssize_t got;
};

/* The userdata. */
struct lstream {
  struct arc_stream *s; /* NULL = closed */
  struct io_op *reader, *writer;
  int streak;
};

static struct lstream *check(lua_State *L, int index) {
  return luaL_checkudata(L, index, STREAM);
}

static struct lstream *check_open(lua_State *L, int index) {
  struct lstream *self = check(L, index);
  luaL_argcheck(L, self->s, index, "the stream is closed");
  return self;
}

struct arc_stream *arc_checkstream(lua_State *L, int index) {
  return check_open(L, index)->s;
}

/* Takes the pending waits out and ends them. */
static void end_waits(struct lstream *self) {
  struct io_op *waits[2] = {self->reader, self->writer};
  for (int i = 0; i < 2; i++) {
    if (waits[i]) {
      arc_op_cancel(&waits[i]->op,
                    arc_err_new(ARC_E_CLOSED, "%s was closed", self->s->name));
    }
  }
}

struct arc_stream *arc_takestream(lua_State *L, int index) {
  struct lstream *self = check_open(L, index);
  end_waits(self);
  struct arc_stream *s = self->s;
  self->s = NULL;
  return s;
}

static int new_stream(lua_State *L) {
  struct lstream *self = lua_newuserdatauv(L, sizeof *self, 0);
  memset(self, 0, sizeof *self);
  luaL_setmetatable(L, STREAM);
  return 1;
}

void arc_pushstream(lua_State *L, struct arc_stream *s) {
  lua_pushcfunction(L, new_stream);
  if (lua_pcall(L, 0, 1, 0)) {
    arc_stream_close(s);
    lua_error(L);
  }
  ((struct lstream *)lua_touserdata(L, -1))->s = s;
}

/* ---- read and write --------------------------------------------------------
 */

static void io_detach(struct arc_op *op) {
  struct io_op *io = (struct io_op *)op;
  struct lstream *owner = io->owner;
  io->owner = NULL;
  if (!owner) {
    return;
  }
  if (owner->reader == io) {
    owner->reader = NULL;
    arc_stream_want_read(owner->s, NULL, NULL);
  } else {
    owner->writer = NULL;
    arc_stream_want_write(owner->s, NULL, NULL);
  }
}

static void io_destroy(struct arc_op *op) {
  free(((struct io_op *)op)->to);
  free(op);
}

/* A failing stream wakes its waiter again: it is withdrawn here. */
static void settle(struct io_op *io, struct arc_stream *s, bool well) {
  if (io->owner->reader == io) {
    io->owner->reader = NULL;
    arc_stream_want_read(s, NULL, NULL);
  } else {
    io->owner->writer = NULL;
    arc_stream_want_write(s, NULL, NULL);
  }
  io->owner = NULL;
  arc_op_finish(&io->op, well ? NULL : arc_err_ref(s->err));
}

static void try_read(void *arg) {
  struct io_op *io = arg;
  struct arc_stream *s = io->owner->s;
  io->got = arc_stream_read(s, io->to, io->left);
  if (io->got == ARC_AGAIN) {
    arc_stream_want_read(s, try_read, io);
  } else {
    settle(io, s, io->got >= 0);
  }
}

static void try_write(void *arg) {
  struct io_op *io = arg;
  struct arc_stream *s = io->owner->s;
  while (io->left) {
    ssize_t n = arc_stream_write(s, io->from, io->left);
    if (n == ARC_AGAIN) {
      arc_stream_want_write(s, try_write, io);
      return;
    }
    if (n < 0) {
      settle(io, s, false);
      return;
    }
    io->from += n;
    io->left -= (size_t)n;
  }
  settle(io, s, true);
}

static int read_done(lua_State *L, struct arc_op *op) {
  struct io_op *io = (struct io_op *)op;
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  if (io->got == 0) {
    lua_pushnil(L);
  } else {
    lua_pushlstring(L, (const char *)io->to, (size_t)io->got);
  }
  return 1;
}

static int write_done(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static struct io_op *new_io(struct lstream *self, bool reading) {
  static const struct arc_op_class read_cls = {"read", io_detach, io_destroy};
  static const struct arc_op_class write_cls = {"write", io_detach, io_destroy};
  struct io_op *io = arc_op_new(self->s->loop, reading ? &read_cls : &write_cls,
                                sizeof *io, ARC_FOREVER);
  if (io) {
    io->owner = self;
    *(reading ? &self->reader : &self->writer) = io;
  }
  return io;
}

/* False when the others have to have theirs first. */
static bool has_turn(struct lstream *self) {
  if (self->streak++ < STREAK_MAX) {
    return true;
  }
  self->streak = 0;
  return false;
}

static int l_read(lua_State *L) {
  struct lstream *self = check_open(L, 1);
  lua_Integer n = luaL_optinteger(L, 2, ARC_STREAM_BUFFER);
  luaL_argcheck(L, n > 0, 2, "at least 1 byte expected");
  if (n > ARC_STREAM_BUFFER) {
    n = ARC_STREAM_BUFFER;
  }
  if (self->reader) {
    return luaL_error(L, "another task is reading %s", self->s->name);
  }
  struct io_op *io = new_io(self, true);
  if (io) {
    io->left = (size_t)n;
    io->to = malloc(io->left);
  }
  if (!io || !io->to) {
    arc_op_free(io ? &io->op : NULL);
    return luaL_error(L, "out of memory");
  }
  if (has_turn(self)) {
    try_read(io);
  } else {
    arc_stream_want_read(self->s, try_read, io);
  }
  if (!io->op.done) {
    self->streak = 0;
  }
  return arc_await(L, &io->op, read_done);
}

static int l_write(lua_State *L) {
  struct lstream *self = check_open(L, 1);
  size_t n = 0;
  const struct arc_secret *secret = arc_tosecret(L, 2);
  const char *from = secret ? secret->bytes : luaL_checklstring(L, 2, &n);
  n = secret ? secret->len : n;
  lua_settop(L, 2);
  if (self->writer) {
    return luaL_error(L, "another task is writing to %s", self->s->name);
  }
  struct io_op *io = new_io(self, false);
  if (!io) {
    return luaL_error(L, "out of memory");
  }
  io->from = from;
  io->left = n;
  if (has_turn(self)) {
    try_write(io);
  } else {
    arc_stream_want_write(self->s, try_write, io);
  }
  return arc_await(L, &io->op, write_done);
}

static int l_shutdown(lua_State *L) {
  arc_stream_shutdown(check_open(L, 1)->s);
  return 0;
}

static int stream_gc(lua_State *L) {
  struct lstream *self = check(L, 1);
  if (self->s) {
    arc_stream_close(arc_takestream(L, 1));
  }
  return 0;
}

static int l_abort(lua_State *L) {
  struct lstream *self = check(L, 1);
  if (self->s) {
    struct arc_err *why = lua_isnoneornil(L, 2) ? NULL : arc_toerror(L, 2);
    arc_stream_abort(arc_takestream(L, 1), why);
    arc_err_unref(why);
  }
  return 0;
}

static int l_name(lua_State *L) {
  struct lstream *self = check(L, 1);
  lua_pushstring(L, self->s ? self->s->name : "closed");
  return 1;
}

static int l_tostring(lua_State *L) {
  struct lstream *self = check(L, 1);
  lua_pushfstring(L, "stream (%s)", self->s ? self->s->name : "closed");
  return 1;
}

/* ---- making streams ---------------------------------------------------------
 */

static int l_pair(lua_State *L) {
  struct arc_stream *pair[2];
  int status = arc_fdstream_pair(arc_getloop(L), pair);
  if (status) {
    return arc_pushfailnew(L, arc_err_errno(status, "make a socket pair"));
  }
  arc_pushstream(L, pair[0]);
  arc_pushstream(L, pair[1]);
  return 2;
}

static int l_stdio(lua_State *L) {
  lua_Integer fd = luaL_checkinteger(L, 1);
  lua_Integer out = luaL_optinteger(L, 2, -1);
  luaL_argcheck(L, fd >= 0 && fd <= 2, 1, "0, 1 or 2 expected");
  luaL_argcheck(L, out >= -1 && out <= 2, 2, "0, 1 or 2 expected");
  struct arc_stream *s = arc_fdstream_stdio(arc_getloop(L), (int)fd, (int)out);
  if (!s) {
    return luaL_error(L, "out of memory");
  }
  arc_pushstream(L, s);
  return 1;
}

static int l_terminal(lua_State *L) {
  struct arc_err *err = NULL;
  struct arc_stream *s =
      arc_fdstream_terminal(arc_getloop(L), lua_toboolean(L, 1), &err);
  if (!s) {
    return err ? arc_pushfailnew(L, err) : luaL_error(L, "out of memory");
  }
  arc_pushstream(L, s);
  return 1;
}

static int copied(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int l_splice(lua_State *L) {
  static const struct arc_opt options[] = {
      {"follow", ARC_OPT_BOOLEAN, 0, false, 0, 0},
      {NULL, ARC_OPT_ANY, 0, false, 0, 0}};
  bool follow = false;
  check_open(L, 1);
  check_open(L, 2);
  luaL_argcheck(L, !lua_rawequal(L, 1, 2), 2, "two streams expected");
  arc_checkoptions(L, 3, options, &follow);
  struct arc_stream *a = arc_takestream(L, 1);
  struct arc_stream *b = arc_takestream(L, 2);
  struct arc_op *op = arc_splice(a, b);
  if (op && follow) {
    arc_splice_follow(op);
  }
  return arc_await(L, op, copied);
}

static int got_stream(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  arc_pushstream(L, arc_tcp_taken(op));
  return 1;
}

static int check_port(lua_State *L, int index) {
  lua_Integer port = luaL_checkinteger(L, index);
  luaL_argcheck(L, port >= 0 && port <= 65535, index,
                "a port from 0 to 65535 expected");
  return (int)port;
}

static int l_connect(lua_State *L) {
  static const struct arc_opt options[] = {
      {"timeout", ARC_OPT_NUMBER, 0, false, 0, 1e9}, {0}};
  double timeout = 30;
  const char *host = luaL_checkstring(L, 1);
  int port = check_port(L, 2);
  arc_checkoptions(L, 3, options, &timeout);
  struct arc_loop *loop = arc_getloop(L);
  return arc_await(
      L, arc_tcp_connect(loop, host, port, arc_loop_deadline(loop, timeout)),
      got_stream);
}

static struct arc_listener *check_listener(lua_State *L) {
  void **box = luaL_checkudata(L, 1, LISTENER);
  luaL_argcheck(L, *box, 1, "the listener is closed");
  return *box;
}

static int l_listen(lua_State *L) {
  const char *address = luaL_checkstring(L, 1);
  int port = check_port(L, 2);
  void **box = arc_newbox(L, LISTENER);
  struct arc_err *err = NULL;
  *box = arc_tcp_listen(arc_getloop(L), address, port, &err);
  return *box ? 1 : arc_pushfailnew(L, err);
}

static int l_unix_connect(lua_State *L) {
  struct arc_err *err = NULL;
  struct arc_stream *s =
      arc_unix_connect(arc_getloop(L), luaL_checkstring(L, 1), &err);
  if (!s) {
    return arc_pushfailnew(L, err);
  }
  arc_pushstream(L, s);
  return 1;
}

struct unix_options {
  lua_Integer mask;
  bool replace;
};

static int l_unix_listen(lua_State *L) {
  static const struct arc_opt options[] = {
      {"mask", ARC_OPT_INTEGER, offsetof(struct unix_options, mask), false, 0,
       0777},
      {"replace", ARC_OPT_BOOLEAN, offsetof(struct unix_options, replace),
       false, 0, 0},
      {NULL, ARC_OPT_ANY, 0, false, 0, 0}};
  struct unix_options opts = {.mask = 0177};
  const char *path = luaL_checkstring(L, 1);
  arc_checkoptions(L, 2, options, &opts);
  void **box = arc_newbox(L, LISTENER);
  struct arc_err *err = NULL;
  *box = arc_unix_listen(arc_getloop(L), path, (unsigned)opts.mask,
                         opts.replace, &err);
  return *box ? 1 : arc_pushfailnew(L, err);
}

static int l_accept(lua_State *L) {
  return arc_await(L, arc_listener_accept(check_listener(L)), got_stream);
}

static int l_port(lua_State *L) {
  lua_pushinteger(L, arc_listener_port(check_listener(L)));
  return 1;
}

static int listener_gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, LISTENER);
  struct arc_listener *listener = *box;
  *box = NULL;
  arc_listener_close(listener);
  return 0;
}

void arc_open_stream(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"read", l_read},   {"write", l_write}, {"shutdown", l_shutdown},
      {"abort", l_abort}, {"name", l_name},   {NULL, NULL}};
  static const luaL_Reg listener[] = {
      {"accept", l_accept}, {"port", l_port}, {NULL, NULL}};
  static const luaL_Reg tcp[] = {
      {"connect", l_connect}, {"listen", l_listen}, {NULL, NULL}};
  static const luaL_Reg local[] = {
      {"connect", l_unix_connect}, {"listen", l_unix_listen}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"pair", l_pair},
                                       {"stdio", l_stdio},
                                       {"splice", l_splice},
                                       {"terminal", l_terminal},
                                       {NULL, NULL}};
  arc_newtype(L, STREAM, methods, stream_gc);
  luaL_newmetatable(L, STREAM);
  lua_pushcfunction(L, l_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  arc_newtype(L, LISTENER, listener, listener_gc);
  luaL_setfuncs(L, functions, 0);
  luaL_newlib(L, tcp);
  lua_setfield(L, -2, "tcp");
  luaL_newlib(L, local);
  lua_setfield(L, -2, "unix");
}
