/* SPDX-License-Identifier: MIT */
#include "emulator/guardian.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/files.h"

enum {
  ROUNDS = 20,          /* of the hunt: who forks meanwhile is found again */
  ENVIRON = 256 * 1024, /* most that is read of one environment */
  GRACE_MS = 5000
};

/* ---- killing what bears the mark ---- */

static bool bears(const char *pid, const char *mark, char *buf) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  size_t n = 0;
  ssize_t got = 1;
  while (got > 0 && n < ENVIRON) {
    got = read(fd, buf + n, ENVIRON - n);
    n += got > 0 ? (size_t)got : 0;
  }
  close(fd);
  size_t len = strlen(mark) + 1; /* with the NUL that ends a variable */
  for (const char *at = buf; (size_t)(at - buf) + len <= n;) {
    if (!memcmp(at, mark, len)) {
      return true;
    }
    const char *next = memchr(at, '\0', n - (size_t)(at - buf));
    if (!next) {
      break;
    }
    at = next + 1;
  }
  return false;
}

/* Kills all marked processes; returns how many there were. */
static int hunt(const char *mark, char *buf) {
  int found = 0;
  DIR *proc = opendir("/proc");
  if (!proc) {
    return 0;
  }
  for (struct dirent *entry = readdir(proc); entry; entry = readdir(proc)) {
    char *end = NULL;
    long pid = strtol(entry->d_name, &end, 10);
    if (pid > 1 && !*end && pid != getpid() &&
        bears(entry->d_name, mark, buf)) {
      found += kill((pid_t)pid, SIGKILL) == 0;
    }
  }
  closedir(proc);
  return found;
}

static void hunt_all(const char *mark) {
  char *buf = malloc(ENVIRON);
  if (!buf) {
    return;
  }
  for (int i = 0; i < ROUNDS && hunt(mark, buf) > 0; i++) {
    (void)poll(NULL, 0, 10);
  }
  free(buf);
}

/* ---- the process ---- */

/* Waits until the maker has let go; ends the maker when its parent ends. */
static void watch(int fd, pid_t maker, pid_t parent) {
  int pidfd = parent > 1 ? (int)syscall(SYS_pidfd_open, parent, 0) : -1;
  if (parent > 1 && pidfd < 0 && errno == ESRCH) {
    kill(maker, SIGTERM);
  }
  struct pollfd polls[2] = {{fd, POLLIN, 0}, {pidfd, POLLIN, 0}};
  int timeout = -1;
  for (;;) {
    int n = poll(polls, 2, timeout);
    if (n > 0 && polls[0].revents) {
      return; /* nothing is ever sent: readable means the end */
    }
    if (n > 0 && polls[1].revents) {
      kill(maker, SIGTERM);
      polls[1].fd = -1;
      timeout = GRACE_MS;
    } else if (n == 0) {
      kill(maker, SIGKILL);
      timeout = -1;
    }
  }
}

static void close_all_but(int keep) {
  if (keep > 3) {
    (void)syscall(SYS_close_range, 3U, (unsigned)keep - 1, 0);
  }
  (void)syscall(SYS_close_range, (unsigned)keep + 1, ~0U, 0);
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; null >= 0 && fd < 3; fd++) {
    (void)dup2(null, fd);
  }
  if (null > 2 && null != keep) {
    close(null);
  }
}

static void ignore_signals(void) {
  static const int all[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE,
                            SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
  struct sigaction ignore;
  memset(&ignore, 0, sizeof ignore);
  ignore.sa_handler = SIG_IGN;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    (void)sigaction(all[i], &ignore, NULL);
  }
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void guard(const struct arc_guard *what, int fd, pid_t maker) {
  setsid();
  ignore_signals();
  (void)prctl(PR_SET_NAME, "arclua-guardian");
  close_all_but(fd);
  (void)chdir("/");
  watch(fd, maker, what->parent);
  if (what->mark && *what->mark) {
    hunt_all(what->mark);
  }
  (void)arc_remove_tree(what->dir);
  _exit(0);
}

int arc_guardian_start(const struct arc_guard *what) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
    return -errno;
  }
  pid_t maker = getpid();
  pid_t child = fork();
  if (child == 0) {
    /* twice: so that nobody has to reap the guardian */
    pid_t grandchild = fork();
    if (grandchild == 0) {
      guard(what, pair[1], maker);
    }
    _exit(grandchild < 0);
  }
  int saved = errno;
  close(pair[1]);
  int status = 0;
  pid_t got = child;
  while (child > 0 && (got = waitpid(child, &status, 0)) < 0 &&
         errno == EINTR) {
  }
  if (child < 0 || got != child || status) {
    close(pair[0]);
    return child < 0 ? -saved : -EAGAIN;
  }
  return pair[0];
}
