/* SPDX-License-Identifier: MIT */
#include "net/curlstream.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "net/socket.h"
#include "util/err.h"

/* Lives until libuv has let go of it. */
struct watch {
  uv_poll_t poll;
  struct curl_stream *stream;
};

struct curl_stream {
  struct arc_stream s;
  struct arc_dial *dial;
  struct watch *watch;
  curl_socket_t fd;
  int armed;    /* what the poll looks for */
  int wanted;   /* what somebody waits for: one-shot */
  bool drained; /* the last read found nothing: TLS holds no bytes */
  bool shut;
};

static void free_watch(uv_handle_t *handle) { free(handle->data); }

static void arm(struct curl_stream *cs, int events);

/* A poll that nobody waits for keeps no loop alive. */
static void set_wanted(struct curl_stream *cs, int events) {
  cs->wanted = events;
  if (events) {
    uv_ref((uv_handle_t *)&cs->watch->poll);
  } else {
    uv_unref((uv_handle_t *)&cs->watch->poll);
  }
}

/* What is wanted again and again stays armed, for arming costs system calls;
 * what came unwanted is disarmed. */
static void on_poll(uv_poll_t *poll, int status, int events) {
  struct watch *watch = poll->data;
  struct curl_stream *cs = watch->stream;
  int fired = status ? cs->wanted : cs->wanted & events;
  if (status) { // libuv has stopped the handle
    cs->armed = 0;
  } else {
    arm(cs, cs->armed & ~(events & ~cs->wanted));
  }
  set_wanted(cs, cs->wanted & ~fired);
  if (fired & UV_READABLE) {
    arc_stream_readable(&cs->s);
  }
  if (fired & UV_WRITABLE) {
    arc_stream_writable(&cs->s);
  }
}

static void arm(struct curl_stream *cs, int events) {
  if (cs->armed == events) {
    return;
  }
  cs->armed = events;
  if (events) {
    uv_poll_start(&cs->watch->poll, events, on_poll);
  } else {
    uv_poll_stop(&cs->watch->poll);
  }
}

static void want(struct curl_stream *cs, int event) {
  arm(cs, cs->armed | event);
  set_wanted(cs, cs->wanted | event);
}

static ssize_t fail(struct curl_stream *cs, CURLcode rc) {
  struct arc_err *err = arc_err_new(ARC_E_CLOSED, "%s broke off: %s",
                                    cs->s.name, curl_easy_strerror(rc));
  return arc_stream_fail(&cs->s, err);
}

static ssize_t curl_read(struct arc_stream *s, void *to, size_t n) {
  struct curl_stream *cs = (struct curl_stream *)s;
  size_t got = 0;
  CURLcode rc = curl_easy_recv(cs->dial->transfer.easy, to, n, &got);
  cs->drained = rc == CURLE_AGAIN;
  if (rc == CURLE_OK) {
    return (ssize_t)got; // 0: the end, with or without close_notify
  }
  return rc == CURLE_AGAIN ? ARC_AGAIN : fail(cs, rc);
}

static ssize_t curl_write(struct arc_stream *s, const void *from, size_t n) {
  struct curl_stream *cs = (struct curl_stream *)s;
  size_t sent = 0;
  if (cs->shut) {
    return arc_stream_fail(
        s, arc_err_new(ARC_E_CLOSED, "%s is closed for writing", s->name));
  }
  CURLcode rc = curl_easy_send(cs->dial->transfer.easy, from, n, &sent);
  if (rc == CURLE_OK && sent) {
    return (ssize_t)sent;
  }
  return rc == CURLE_OK || rc == CURLE_AGAIN ? ARC_AGAIN : fail(cs, rc);
}

/* The descriptor is silent about bytes that TLS already holds. */
static void curl_want_read(struct arc_stream *s) {
  struct curl_stream *cs = (struct curl_stream *)s;
  if (cs->drained && !s->err) {
    want(cs, UV_READABLE);
  } else {
    arc_stream_readable(s);
  }
}

static void curl_want_write(struct arc_stream *s) {
  if (s->err) {
    arc_stream_writable(s);
  } else {
    want((struct curl_stream *)s, UV_WRITABLE);
  }
}

/* libcurl offers no half-close of TLS. */
static void curl_shutdown(struct arc_stream *s) {
  ((struct curl_stream *)s)->shut = true;
}

static void free_stream(struct curl_stream *cs) {
  uv_close((uv_handle_t *)&cs->watch->poll, free_watch);
  arc_dial_close(cs->dial); // closes TLS and the descriptor
  free(cs->dial);
  arc_stream_fini(&cs->s);
  free(cs);
}

static void curl_close(struct arc_stream *s) {
  free_stream((struct curl_stream *)s);
}

static void curl_abort(struct arc_stream *s, struct arc_err *why) {
  struct curl_stream *cs = (struct curl_stream *)s;
  const struct linger reset = {.l_onoff = 1};
  (void)why;
  setsockopt(cs->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  free_stream(cs);
}

static bool curl_held_up(const struct arc_stream *s) {
  return arc_socket_held_up(((const struct curl_stream *)s)->fd);
}

static const struct arc_stream_class curl_class = {
    .kind = "tls",
    .read = curl_read,
    .write = curl_write,
    .want_read = curl_want_read,
    .want_write = curl_want_write,
    .shutdown = curl_shutdown,
    .close = curl_close,
    .abort = curl_abort,
    .held_up = curl_held_up,
};

static struct watch *new_watch(struct arc_dial *dial, curl_socket_t fd,
                               struct arc_err **err) {
  struct watch *watch = calloc(1, sizeof *watch);
  if (!watch) {
    *err = arc_err_new(ARC_E_NOMEM, "out of memory");
    return NULL;
  }
  arc_multi_forget(dial->transfer.multi,
                   fd); // libuv takes one handle a descriptor
  int rc = uv_poll_init_socket(arc_loop_uv(dial->loop), &watch->poll, fd);
  if (rc) {
    *err = arc_err_errno(rc, "cannot watch the connection");
    free(watch);
    return NULL;
  }
  watch->poll.data = watch;
  return watch;
}

struct arc_stream *arc_curlstream_new(struct arc_dial *dial,
                                      struct arc_err **err) {
  curl_socket_t fd = CURL_SOCKET_BAD;
  curl_easy_getinfo(dial->transfer.easy, CURLINFO_ACTIVESOCKET, &fd);
  if (fd == CURL_SOCKET_BAD) {
    *err = arc_err_new(ARC_E_CLOSED, "%s closed the connection", dial->host);
    return NULL;
  }
  struct curl_stream *cs = calloc(1, sizeof *cs);
  struct watch *watch = cs ? new_watch(dial, fd, err) : NULL;
  if (!watch) {
    *err = cs ? *err : arc_err_new(ARC_E_NOMEM, "out of memory");
    free(cs);
    return NULL;
  }
  arc_stream_init(&cs->s, dial->loop, &curl_class, dial->host);
  watch->stream = cs;
  cs->watch = watch;
  cs->dial = dial;
  cs->fd = fd;
  arc_socket_tune(fd); // libcurl knows no number of probes
  return &cs->s;
}
