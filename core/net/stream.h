/* SPDX-License-Identifier: MIT */
#ifndef ARC_STREAM_H
#define ARC_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "loop/loop.h"

struct arc_err;
struct arc_stream;

enum { ARC_AGAIN = -1, ARC_FAILED = -2 };
enum {
  ARC_STREAM_BUFFER = 64 * 1024, /* most bytes held a direction */
  /* to copy at a time: with a WebSocket frame's header two full TLS records,
   * not two and one of four bytes */
  ARC_STREAM_CHUNK = 32 * 1024 - 64
};

/* What a kind of stream implements. No function calls back from inside. */
struct arc_stream_class {
  const char *kind; /* "tcp", "relay", "channel" */
  /* > 0 bytes, 0 = orderly end, ARC_AGAIN, ARC_FAILED (stream->err is set). A
   * reset is never an end. */
  ssize_t (*read)(struct arc_stream *s, void *to, size_t n);
  /* >= 1 bytes taken, ARC_AGAIN, ARC_FAILED. n > 0. */
  ssize_t (*write)(struct arc_stream *s, const void *from, size_t n);
  /* Ask the source for readiness; when it may be there (also: at once, when
   * bytes are already buffered, or the stream ended or failed) the class
   * calls arc_stream_readable / arc_stream_writable. One-shot. */
  void (*want_read)(struct arc_stream *s);
  void (*want_write)(struct arc_stream *s);
  /* No more writes; what was taken is still sent. NULL: nothing to do. */
  void (*shutdown)(struct arc_stream *s);
  /* Orderly end (flushes, lingers up to 5 s on its own); the caller has let
   * go. Frees the stream when done. */
  void (*close)(struct arc_stream *s);
  /* At once, the peer sees a reset; the caller has let go. Frees. */
  void (*abort)(struct arc_stream *s, struct arc_err *why);
  /* Is the far host alive, and takes nothing? NULL: cannot tell. */
  bool (*held_up)(const struct arc_stream *s);
};

/* First member of every stream. */
struct arc_stream {
  const struct arc_stream_class *cls;
  struct arc_loop *loop;
  struct arc_ready on_read, on_write; /* whoever waits; one each */
  struct arc_err *err;                /* why it failed; owned */
  char name[64];                      /* for messages */
};

/* For classes. init counts the stream alive; fini cancels waiters, drops err.
 */
void arc_stream_init(struct arc_stream *s, struct arc_loop *loop,
                     const struct arc_stream_class *cls, const char *name);
void arc_stream_fini(struct arc_stream *s);
void arc_stream_readable(struct arc_stream *s); /* wakes a waiting reader */
void arc_stream_writable(struct arc_stream *s);
/* Sets err (taken over) unless one is set; wakes both sides. */
ssize_t arc_stream_fail(struct arc_stream *s, struct arc_err *err);

/* For users. */
ssize_t arc_stream_read(struct arc_stream *s, void *to, size_t n);
ssize_t arc_stream_write(struct arc_stream *s, const void *from, size_t n);
/* fn(arg) runs once from the drain when reading may get on; a second want
 * replaces the first; fn NULL withdraws it. */
void arc_stream_want_read(struct arc_stream *s, void (*fn)(void *), void *arg);
void arc_stream_want_write(struct arc_stream *s, void (*fn)(void *), void *arg);
void arc_stream_shutdown(struct arc_stream *s);
/* Known to be alive, though it takes nothing of what is written? */
bool arc_stream_held_up(const struct arc_stream *s);
/* Both take the stream over: it must not be touched afterwards. NULL is fine.
 * abort takes a reference of its own on why (may be NULL). */
void arc_stream_close(struct arc_stream *s);
void arc_stream_abort(struct arc_stream *s, struct arc_err *why);

#endif
