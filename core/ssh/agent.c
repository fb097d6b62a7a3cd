/* SPDX-License-Identifier: MIT */
#include "ssh/agent.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/fdstream.h"
#include "ssh/agent_peer.h"
#include "util/err.h"

enum { PICKS_MAX = 64 };

/* What libssh offers, and the agent's key that signs for it. */
struct pick {
  uint8_t *offer, *signer;
  size_t offer_len, signer_len;
};

struct arc_agent_job {
  uv_async_t async; /* first: freed by its close callback */
  struct worker *worker;
  struct arc_agent_job *next;
  struct arc_ready listed, ready; /* the keys are told; the thread is back */
  void (*done)(void *arg);
  void *arg;
  ssh_session ssh;
  struct arc_agent_peer agent, lib; /* the real one; libssh */
  char *path;
  bool listing;
  struct arc_err *err;
  struct arc_pubkey **keys;
  size_t n_keys;
  struct pick picks[PICKS_MAX];
  int n_picks, last;
  int result;
  bool away;
  bool hurried; /* its login was given up: it lingers */
};

/* The loop's thread for agents, started with its first job. */
struct worker {
  struct arc_part part;
  struct arc_loop *loop;
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t more;
  struct arc_agent_job *first, **last;
  pid_t owner; /* of the thread: it does not follow a fork */
  bool running, stop;
};

static bool has_thread(const struct worker *w) {
  return w->running && w->owner == getpid();
}

static void *work(void *arg) {
  struct worker *w = arg;
  pthread_mutex_lock(&w->lock);
  while (!w->stop) {
    struct arc_agent_job *job = w->first;
    if (!job) {
      pthread_cond_wait(&w->more, &w->lock);
      continue;
    }
    w->first = job->next;
    if (!w->first) {
      w->last = &w->first;
    }
    pthread_mutex_unlock(&w->lock);
    job->result = ssh_userauth_agent(job->ssh, NULL);
    uv_async_send(&job->async);
    pthread_mutex_lock(&w->lock);
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

static void stop_worker(struct arc_part *part) {
  struct worker *w = (struct worker *)part;
  if (has_thread(w)) {
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
  }
  if (has_thread(w) || !w->running) { // one that waits for ever is waited for
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
  }
  free(w);
}

static struct worker *worker_of(struct arc_loop *loop) {
  static const char name[] = "ssh.agent";
  struct worker *w = (struct worker *)arc_loop_part(loop, name);
  if (w) {
    return w;
  }
  w = calloc(1, sizeof *w);
  if (w) {
    w->part.name = name;
    w->part.free = stop_worker;
    w->loop = loop;
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    arc_loop_attach(loop, &w->part);
  }
  return w;
}

/* Signals belong to the process's other threads; libssh writes to an agent
 * without MSG_NOSIGNAL. */
static bool start_worker(struct worker *w) {
  sigset_t all, before;
  if (!has_thread(w)) {
    if (w->running) { // left behind, and what it held with it
      pthread_mutex_init(&w->lock, NULL);
      pthread_cond_init(&w->more, NULL);
    }
    w->owner = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    w->running = !pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  return w->running;
}

/* ---- the agent ------------------------------------------------------------
 */

static void fail(struct arc_agent_job *job, const char *why) {
  if (!job->err) {
    job->err =
        arc_err_reason("ssh.agent-failed", "the agent %s %s", job->path, why);
  }
}

/* Tells libssh. Whoever cannot be answered is let go: its thread comes back. */
static void tell(struct arc_agent_job *job, const void *message, size_t n) {
  if (job->lib.stream && !arc_agent_peer_send(&job->lib, message, n)) {
    arc_agent_peer_close(&job->lib);
  }
}

static void tell_failure(struct arc_agent_job *job) {
  static const uint8_t failure[] = {ARC_AGENT_FAILURE};
  tell(job, failure, sizeof failure);
}

/* The keys in the answer; those that libssh does not know are left out. */
static bool read_keys(struct arc_agent_job *job, struct arc_cursor cur) {
  uint8_t type = arc_cursor_u8(&cur);
  uint32_t n = arc_cursor_u32(&cur);
  if (type != ARC_AGENT_KEYS || cur.failed || n > cur.left / 8) {
    return false;
  }
  job->keys = calloc(n ? n : 1, sizeof *job->keys);
  while (job->keys && n--) {
    uint32_t len;
    uint32_t comment;
    const uint8_t *blob = arc_cursor_string(&cur, &len);
    if (!blob || !arc_cursor_string(&cur, &comment)) {
      return false;
    }
    struct arc_pubkey *key = arc_pubkey_new(blob, len);
    if (key) {
      job->keys[job->n_keys++] = key;
    }
  }
  return job->keys;
}

static void hear_agent(struct arc_agent_job *job, struct arc_cursor message) {
  if (job->listing) {
    job->listing = false;
    if (!read_keys(job, message)) {
      fail(job, "did not tell its keys");
    }
    arc_ready_post(job->worker->loop, &job->listed);
  } else if (message.left && *message.at == ARC_AGENT_SIGNED) {
    tell(job, message.at, message.left);
  } else {
    fail(job, "refused to sign");
    tell_failure(job);
  }
}

/* The agent has gone: so has who waits for it. */
static void lose_agent(struct arc_agent_job *job) {
  if (job->agent.stream) {
    fail(job, "closed the connection");
    arc_agent_peer_close(&job->agent);
  }
  if (job->listing) {
    job->listing = false;
    arc_ready_post(job->worker->loop, &job->listed);
  } else if (job->last >= 0) {
    tell_failure(job);
  }
}

/* ---- libssh ---------------------------------------------------------------
 */

static bool tell_picks(struct arc_agent_job *job) {
  static const uint8_t type = ARC_AGENT_KEYS;
  struct arc_buf buf = {0};
  bool fine = arc_buf_append(&buf, &type, 1) &&
              arc_buf_u32(&buf, (uint32_t)job->n_picks);
  for (int i = 0; fine && i < job->n_picks; i++) {
    fine = arc_buf_string(&buf, job->picks[i].offer, job->picks[i].offer_len) &&
           arc_buf_string(&buf, "", 0);
  }
  fine = fine &&
         arc_agent_peer_send(&job->lib, arc_buf_head(&buf), arc_buf_len(&buf));
  arc_buf_free(&buf);
  return fine;
}

/* Its place, or n_picks. */
static int find_pick(const struct arc_agent_job *job, const uint8_t *blob,
                     size_t n) {
  int i = 0;
  while (i < job->n_picks && (job->picks[i].offer_len != n ||
                              memcmp(job->picks[i].offer, blob, n) != 0)) {
    i++;
  }
  return i;
}

/* libssh asks for a signature by what was offered: the agent knows the key by
 * its own name. */
static bool pass_request(struct arc_agent_job *job, struct arc_cursor cur) {
  static const uint8_t type = ARC_AGENT_SIGN;
  uint32_t n;
  const uint8_t *blob = arc_cursor_string(&cur, &n);
  int i = blob ? find_pick(job, blob, n) : job->n_picks;
  if (i == job->n_picks || !job->agent.stream) {
    return false;
  }
  const struct pick *pick = &job->picks[i];
  struct arc_buf buf = {0};
  bool fine =
      arc_buf_append(&buf, &type, 1) &&
      arc_buf_string(&buf, pick->signer, pick->signer_len) &&
      arc_buf_append(&buf, cur.at, cur.left) &&
      arc_agent_peer_send(&job->agent, arc_buf_head(&buf), arc_buf_len(&buf));
  job->last = i;
  arc_buf_free(&buf);
  return fine;
}

static void hear_lib(struct arc_agent_job *job, struct arc_cursor message) {
  uint8_t type = arc_cursor_u8(&message);
  bool fine = type == ARC_AGENT_LIST   ? tell_picks(job)
              : type == ARC_AGENT_SIGN ? pass_request(job, message)
                                       : false;
  if (!fine) {
    tell_failure(job);
  }
}

/* ---- both -----------------------------------------------------------------
 */

static bool serve(struct arc_agent_job *job, struct arc_agent_peer *peer,
                  void (*hear)(struct arc_agent_job *, struct arc_cursor)) {
  struct arc_cursor message;
  if (!peer->stream || !arc_agent_peer_next(peer, &message)) {
    return false;
  }
  hear(job, message);
  arc_agent_peer_take(peer);
  return true;
}

static void talk(void *arg) {
  struct arc_agent_job *job = arg;
  do {
    if (job->agent.stream && !arc_agent_peer_run(&job->agent, talk, job)) {
      lose_agent(job);
    }
    if (job->lib.stream && !arc_agent_peer_run(&job->lib, talk, job)) {
      arc_agent_peer_close(&job->lib); // libssh has ended
    }
  } while (serve(job, &job->agent, hear_agent) ||
           serve(job, &job->lib, hear_lib));
}

static void answered(uv_async_t *async) {
  struct arc_agent_job *job = (struct arc_agent_job *)async;
  if (job->away) {
    arc_ready_post(job->worker->loop, &job->ready);
  }
}

static void told(void *arg) {
  struct arc_agent_job *job = arg;
  if (!job->away) {
    job->done(job->arg);
  }
}

/* In the drain: nobody sees the session back before its result is told. */
static void back(void *arg) {
  struct arc_agent_job *job = arg;
  job->away = false;
  job->done(job->arg);
}

static void job_closed(uv_handle_t *handle) { free(handle); }

/* ---- for the login --------------------------------------------------------
 */

static struct arc_err *no_memory(void) {
  return arc_err_new(ARC_E_NOMEM, "no memory for the SSH agent");
}

struct arc_agent_job *arc_agent_open(struct arc_loop *loop, const char *path,
                                     void (*done)(void *), void *arg,
                                     struct arc_err **err) {
  static const uint8_t list = ARC_AGENT_LIST;
  struct worker *w = worker_of(loop);
  struct arc_stream *stream = arc_agent_dial(loop, path, err);
  if (!stream) {
    return NULL;
  }
  struct arc_agent_job *job = calloc(1, sizeof *job);
  if (!w || !job || !(job->path = strdup(path)) ||
      uv_async_init(arc_loop_uv(loop), &job->async, answered)) {
    arc_stream_close(stream);
    free(job ? job->path : NULL);
    free(job);
    *err = no_memory();
    return NULL;
  }
  uv_unref((uv_handle_t *)&job->async);
  job->worker = w;
  job->agent.stream = stream;
  job->done = done;
  job->arg = arg;
  job->last = -1;
  job->listing = true;
  arc_ready_init(&job->listed, told, job);
  arc_ready_init(&job->ready, back, job);
  if (!arc_agent_peer_send(&job->agent, &list, sizeof list)) {
    arc_agent_free(job);
    *err = no_memory();
    return NULL;
  }
  talk(job);
  return job;
}

bool arc_agent_listing(const struct arc_agent_job *job) { return job->listing; }

struct arc_err *arc_agent_err(const struct arc_agent_job *job) {
  return job->err;
}

struct arc_pubkey *const *arc_agent_keys(const struct arc_agent_job *job,
                                         size_t *n) {
  *n = job->n_keys;
  return job->keys;
}

bool arc_agent_pick(struct arc_agent_job *job, const struct arc_pubkey *offer,
                    const char *signer) {
  if (job->n_picks == PICKS_MAX) {
    return true; // no server hears that many
  }
  struct pick *pick = &job->picks[job->n_picks];
  pick->offer = arc_pubkey_bytes(offer->base64, &pick->offer_len);
  pick->signer = arc_pubkey_bytes(signer, &pick->signer_len);
  if (!pick->offer || !pick->signer) {
    free(pick->offer);
    free(pick->signer);
    return false;
  }
  job->n_picks++;
  return true;
}

void arc_agent_reset(struct arc_agent_job *job) {
  while (job->n_picks) {
    struct pick *pick = &job->picks[--job->n_picks];
    free(pick->offer);
    free(pick->signer);
  }
  job->last = -1;
  arc_err_unref(job->err);
  job->err = NULL;
}

/* libssh closes its end with the session. */
static bool join(struct arc_agent_job *job, ssh_session ssh) {
  int pair[2];
  if (job->ssh) {
    return true;
  }
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
    return false;
  }
  job->lib.stream = arc_fdstream_new(job->worker->loop, pair[0], -1, "agent");
  if (!job->lib.stream) {
    close(pair[1]);
    return false;
  }
  job->ssh = ssh;
  ssh_set_agent_socket(ssh, pair[1]);
  return true;
}

bool arc_agent_call(struct arc_agent_job *job, ssh_session ssh) {
  struct worker *w = job->worker;
  if (!start_worker(w) || !join(job, ssh)) {
    return false;
  }
  talk(job);
  job->away = true;
  uv_ref((uv_handle_t *)&job->async);
  pthread_mutex_lock(&w->lock);
  job->next = NULL;
  *w->last = job;
  w->last = &job->next;
  pthread_cond_signal(&w->more);
  pthread_mutex_unlock(&w->lock);
  return true;
}

bool arc_agent_away(const struct arc_agent_job *job) { return job->away; }

int arc_agent_result(const struct arc_agent_job *job) { return job->result; }

int arc_agent_signed(const struct arc_agent_job *job) { return job->last; }

void arc_agent_hurry(struct arc_agent_job *job) {
  if (!job->hurried) {
    job->hurried = true;
    arc_loop_count(job->worker->loop, ARC_N_LINGERS, 1);
  }
  if (job->lib.stream) {
    arc_stream_abort(job->lib.stream, NULL);
    job->lib.stream = NULL;
  }
}

void arc_agent_free(struct arc_agent_job *job) {
  arc_ready_cancel(job->worker->loop, &job->listed);
  arc_ready_cancel(job->worker->loop, &job->ready);
  if (job->hurried) {
    arc_loop_count(job->worker->loop, ARC_N_LINGERS, -1);
  }
  arc_agent_peer_close(&job->agent);
  arc_agent_peer_close(&job->lib);
  arc_agent_reset(job);
  for (size_t i = 0; i < job->n_keys; i++) {
    arc_pubkey_unref(job->keys[i]);
  }
  free(job->keys);
  free(job->path);
  uv_close((uv_handle_t *)&job->async, job_closed);
}
