/* SPDX-License-Identifier: MIT */
#include "net/multi.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"
#include "util/secret.h"

/* curl_easy_send and recv search all connections of their multi for their own:
 * many that stay are spread over several. */
enum { IDLE_CONNECTIONS = 64, HOST_CONNECTIONS = 16, SPREAD = 32 };

static const char part_name[] = "curl";

struct arc_multi {
  CURLM *multi;
  struct arc_loop *loop;
  enum arc_multi_kind kind;
  struct arc_timer timer;
  struct arc_ready harvest; /* look for ended transfers outside curl */
  struct watch *watches;
  struct arc_transfer *starved; /* no memory to watch their sockets */
  int transfers;
  struct arc_multi *more; /* of the same kind; NULL = none */
};

/* A socket that curl wants watched. */
struct watch {
  uv_poll_t poll;
  struct arc_multi *multi;
  curl_socket_t fd;
  int events;
  struct watch *next, **link;
};

struct curl_part {
  struct arc_part part;
  struct arc_multi multis[ARC_MULTI_KINDS];
};

static void free_handle(uv_handle_t *handle) { free(handle->data); }

static void drop_watch(struct watch *watch) {
  *watch->link = watch->next;
  if (watch->next) {
    watch->next->link = watch->link;
  }
  uv_close((uv_handle_t *)&watch->poll, free_handle);
}

static void kick(struct arc_multi *m, curl_socket_t fd, int events) {
  int running;
  curl_multi_socket_action(m->multi, fd, events, &running);
  arc_ready_post(m->loop, &m->harvest);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct watch *watch = poll->data;
  int what = events & UV_READABLE ? CURL_CSELECT_IN : 0;
  what |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
  if (!status) {
    kick(watch->multi, watch->fd, what);
    return;
  }
  kick(watch->multi, watch->fd, CURL_CSELECT_ERR);
  if (!uv_is_closing((uv_handle_t *)poll) &&
      !uv_is_active((uv_handle_t *)poll)) {
    uv_poll_start(poll, watch->events, on_poll); // libuv had stopped it
  }
}

static struct watch *new_watch(struct arc_multi *m, curl_socket_t fd) {
  struct watch *watch = calloc(1, sizeof *watch);
  if (!watch || uv_poll_init_socket(arc_loop_uv(m->loop), &watch->poll, fd)) {
    free(watch);
    return NULL;
  }
  watch->poll.data = watch;
  watch->multi = m;
  watch->fd = fd;
  watch->next = m->watches;
  watch->link = &m->watches;
  if (watch->next) {
    watch->next->link = &watch->next;
  }
  m->watches = watch;
  return watch;
}

/* Ended by the harvest: a refusal here would end every transfer. */
static void starve(struct arc_multi *m, CURL *easy) {
  struct arc_transfer *transfer = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
  if (transfer && !transfer->starved) {
    transfer->starved = true;
    transfer->next_starved = m->starved;
    m->starved = transfer;
    arc_ready_post(m->loop, &m->harvest);
  }
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                     void *socket_arg) {
  struct arc_multi *m = arg;
  struct watch *watch = socket_arg;
  if (what == CURL_POLL_REMOVE) {
    if (watch) {
      drop_watch(watch);
      curl_multi_assign(m->multi, fd, NULL);
    }
    return 0;
  }
  if (!watch) {
    watch = new_watch(m, fd);
    if (!watch) {
      starve(m, easy);
      return 0;
    }
    curl_multi_assign(m->multi, fd, watch);
  }
  int events = what & CURL_POLL_IN ? UV_READABLE : 0;
  events |= what & CURL_POLL_OUT ? UV_WRITABLE : 0;
  if (events != watch->events) {
    watch->events = events;
    uv_poll_start(&watch->poll, events, on_poll);
  }
  return 0;
}

static void on_alarm(void *arg) { kick(arg, CURL_SOCKET_TIMEOUT, 0); }

/* curl's milliseconds are real ones, the loop's clock may run faster. */
static int on_timer(CURLM *multi, long ms, void *arg) {
  struct arc_multi *m = arg;
  (void)multi;
  if (ms < 0) {
    arc_timer_stop(m->loop, &m->timer);
    return 0;
  }
  double wait = (double)ms * arc_loop_scale(m->loop);
  arc_timer_start(m->loop, &m->timer, arc_loop_now(m->loop) + (int64_t)wait,
                  on_alarm, m);
  return 0;
}

static void leave_starved(struct arc_transfer *transfer) {
  struct arc_transfer **link = &transfer->multi->starved;
  while (*link != transfer) {
    link = &(*link)->next_starved;
  }
  *link = transfer->next_starved;
  transfer->starved = false;
}

static void harvest(void *arg) {
  struct arc_multi *m = arg;
  int left;
  bool ended = false;
  CURLMsg *msg;
  while ((msg = curl_multi_info_read(m->multi, &left))) {
    struct arc_transfer *transfer = NULL;
    CURLcode result = msg->data.result;
    if (msg->msg != CURLMSG_DONE) {
      continue;
    }
    curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &transfer);
    if (result || m->kind != ARC_MULTI_CONNECT) {
      arc_multi_remove(transfer);
    } else if (transfer->starved) {
      leave_starved(transfer); // it went without
    }
    transfer->done(transfer->arg, result);
    ended = true;
  }
  while (m->starved) {
    struct arc_transfer *transfer = m->starved;
    arc_multi_remove(transfer);
    transfer->done(transfer->arg, CURLE_OUT_OF_MEMORY);
  }
  if (ended) {
    arc_wipe_stack();
  }
}

static void free_multi(struct arc_multi *m) {
  if (!m->multi) {
    return;
  }
  arc_timer_stop(m->loop, &m->timer);
  arc_ready_cancel(m->loop, &m->harvest);
  curl_multi_cleanup(m->multi);
  while (m->watches) {
    drop_watch(m->watches);
  }
  arc_timer_stop(m->loop, &m->timer);
}

static void free_part(struct arc_part *part) {
  struct curl_part *curl = (struct curl_part *)part;
  for (int i = 0; i < ARC_MULTI_KINDS; i++) {
    struct arc_multi *first = &curl->multis[i];
    for (struct arc_multi *m = first, *more; m; m = more) {
      more = m->more;
      free_multi(m);
      if (m != first) {
        free(m);
      }
    }
  }
  curl_global_cleanup();
  free(curl);
}

/* Its SSL_CTX is handed to our OpenSSL: both must be the same library. */
static bool shares_openssl(void) {
  static const char prefix[] = "OpenSSL/";
  const char *theirs = curl_version_info(CURLVERSION_NOW)->ssl_version;
  const char *ours = OpenSSL_version(OPENSSL_FULL_VERSION_STRING);
  size_t n = sizeof prefix - 1;
  return theirs && !strncmp(theirs, prefix, n) && !strcmp(theirs + n, ours);
}

/* Tokens pass through libcurl's buffers: what it frees is wiped. Where another
 * part of the process has started it before, its memory stays as it was. */
static CURLcode start_curl(void) {
  return curl_global_init_mem(CURL_GLOBAL_DEFAULT, arc_wipe_malloc,
                              arc_wipe_free, arc_wipe_realloc, arc_wipe_strdup,
                              arc_wipe_calloc);
}

static struct curl_part *make_part(struct arc_loop *loop,
                                   struct arc_err **err) {
  if (start_curl()) {
    *err = arc_err_new(ARC_E_NOMEM, "libcurl cannot start");
    return NULL;
  }
  struct curl_part *curl = NULL;
  if (!shares_openssl()) {
    *err = arc_err_new(ARC_E_CONFIG, "libcurl does not use the same OpenSSL");
  } else if (!(curl = calloc(1, sizeof *curl))) {
    *err = arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  if (!curl) {
    curl_global_cleanup();
    return NULL;
  }
  curl->part.name = part_name;
  curl->part.free = free_part;
  arc_loop_attach(loop, &curl->part);
  return curl;
}

static bool start_multi(struct arc_multi *m, struct arc_loop *loop,
                        enum arc_multi_kind kind) {
  m->multi = curl_multi_init();
  if (!m->multi) {
    return false;
  }
  m->loop = loop;
  m->kind = kind;
  arc_ready_init(&m->harvest, harvest, m);
  curl_multi_setopt(m->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(m->multi, CURLMOPT_SOCKETDATA, m);
  curl_multi_setopt(m->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(m->multi, CURLMOPT_TIMERDATA, m);
  if (kind != ARC_MULTI_CONNECT) {
    curl_multi_setopt(m->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
    curl_multi_setopt(m->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long)HOST_CONNECTIONS);
  }
  return true;
}

struct arc_multi *arc_multi_get(struct arc_loop *loop, enum arc_multi_kind kind,
                                struct arc_err **err) {
  struct curl_part *curl = (struct curl_part *)arc_loop_part(loop, part_name);
  if (!curl && !(curl = make_part(loop, err))) {
    return NULL;
  }
  struct arc_multi *m = &curl->multis[kind];
  if (!m->multi && !start_multi(m, loop, kind)) {
    *err = arc_err_new(ARC_E_NOMEM, "out of memory");
    return NULL;
  }
  return m;
}

void arc_multi_close_idle(struct arc_loop *loop) {
  struct curl_part *curl = (struct curl_part *)arc_loop_part(loop, part_name);
  for (int i = 0; curl && i < ARC_MULTI_CONNECT; i++) {
    struct arc_multi *m = &curl->multis[i];
    if (m->multi && !m->transfers) {
      free_multi(m);
      m->multi = NULL;
    }
  }
}

/* The first of the chain that takes another transfer; NULL without memory. */
static struct arc_multi *with_room(struct arc_multi *m) {
  while (m->kind == ARC_MULTI_CONNECT && m->transfers >= SPREAD) {
    if (!m->more) {
      struct arc_multi *more = calloc(1, sizeof *more);
      if (!more || !start_multi(more, m->loop, m->kind)) {
        free(more);
        return NULL;
      }
      m->more = more;
    }
    m = m->more;
  }
  return m;
}

bool arc_multi_add(struct arc_multi *m, struct arc_transfer *transfer) {
  if (!m->multi && !start_multi(m, m->loop, m->kind)) { // closed meanwhile
    return false;
  }
  m = with_room(m);
  if (!m) {
    return false;
  }
  curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
  if (curl_multi_add_handle(m->multi, transfer->easy)) {
    return false;
  }
  transfer->multi = m;
  m->transfers++;
  return true;
}

void arc_multi_remove(struct arc_transfer *transfer) {
  if (transfer->multi) {
    if (transfer->starved) {
      leave_starved(transfer);
    }
    curl_multi_remove_handle(transfer->multi->multi, transfer->easy);
    transfer->multi->transfers--;
    transfer->multi = NULL;
  }
}

void arc_multi_forget(struct arc_multi *m, curl_socket_t fd) {
  for (struct watch *watch = m->watches; watch; watch = watch->next) {
    if (watch->fd == fd) {
      curl_multi_assign(m->multi, fd, NULL);
      drop_watch(watch);
      return;
    }
  }
}
