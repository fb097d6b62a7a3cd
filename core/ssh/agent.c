/* SPDX-License-Identifier: MIT */
#include "ssh/agent.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/err.h"

struct arc_agent_job {
  uv_async_t async; /* first: freed by its close callback */
  struct worker *worker;
  struct arc_agent_job *next;
  struct arc_ready ready;
  void (*done)(void *arg);
  void *arg;
  ssh_session ssh;
  int fd; /* the agent's connection; libssh closes it with the session */
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
  bool running, stop;
};

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
  if (w->running) {
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
  }
  pthread_cond_destroy(&w->more);
  pthread_mutex_destroy(&w->lock);
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
  if (!w->running) {
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    w->running = !pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  return w->running;
}

static int dial(const char *path) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof to.sun_path) {
    return -ENAMETOOLONG;
  }
  memcpy(to.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return -errno;
  }
  if (connect(fd, (struct sockaddr *)&to, sizeof to)) {
    int rc = -errno;
    close(fd);
    return rc;
  }
  return fd;
}

static void answered(uv_async_t *async) {
  struct arc_agent_job *job = (struct arc_agent_job *)async;
  if (job->away) {
    arc_ready_post(job->worker->loop, &job->ready);
  }
}

/* In the drain: nobody sees the session back before its result is told. */
static void back(void *arg) {
  struct arc_agent_job *job = arg;
  job->away = false;
  job->done(job->arg);
}

static void job_closed(uv_handle_t *handle) { free(handle); }

struct arc_agent_job *arc_agent_open(struct arc_loop *loop, ssh_session ssh,
                                     const char *path, void (*done)(void *),
                                     void *arg, struct arc_err **err) {
  struct worker *w = worker_of(loop);
  int fd = dial(path);
  if (fd < 0) {
    *err = arc_err_reason("ssh.agent-failed", "connect to the agent %s: %s",
                          path, strerror(-fd));
    return NULL;
  }
  struct arc_agent_job *job = calloc(1, sizeof *job);
  if (!w || !start_worker(w) || !job ||
      uv_async_init(arc_loop_uv(loop), &job->async, answered)) {
    close(fd);
    free(job);
    *err = arc_err_new(ARC_E_NOMEM, "no memory or thread for the SSH agent");
    return NULL;
  }
  uv_unref((uv_handle_t *)&job->async);
  job->worker = w;
  job->ssh = ssh;
  job->fd = fd;
  job->done = done;
  job->arg = arg;
  arc_ready_init(&job->ready, back, job);
  ssh_set_agent_socket(ssh, fd);
  return job;
}

void arc_agent_call(struct arc_agent_job *job) {
  struct worker *w = job->worker;
  job->away = true;
  uv_ref((uv_handle_t *)&job->async);
  pthread_mutex_lock(&w->lock);
  job->next = NULL;
  *w->last = job;
  w->last = &job->next;
  pthread_cond_signal(&w->more);
  pthread_mutex_unlock(&w->lock);
}

bool arc_agent_away(const struct arc_agent_job *job) { return job->away; }

int arc_agent_result(const struct arc_agent_job *job) { return job->result; }

void arc_agent_hurry(struct arc_agent_job *job) {
  if (!job->hurried) {
    job->hurried = true;
    arc_loop_count(job->worker->loop, ARC_N_LINGERS, 1);
  }
  shutdown(job->fd, SHUT_RDWR);
}

void arc_agent_free(struct arc_agent_job *job) {
  arc_ready_cancel(job->worker->loop, &job->ready);
  if (job->hurried) {
    arc_loop_count(job->worker->loop, ARC_N_LINGERS, -1);
  }
  uv_close((uv_handle_t *)&job->async, job_closed);
}
