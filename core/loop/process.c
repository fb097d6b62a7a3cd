/* SPDX-License-Identifier: MIT */
#include "loop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/err.h"

struct wait_op {
  struct arc_op op;
  struct arc_process *process;
  struct wait_op *next;
};

struct arc_process {
  uv_poll_t poll; /* on a pidfd: no SIGCHLD handler in a foreign process */
  struct arc_loop *loop;
  struct wait_op *waiting;
  int pidfd;
  pid_t pid;
  int fds[3]; /* the parent's ends */
  int status; /* of waitpid */
  bool ended, session;
};

/* What the child finds before it becomes the program. */
struct child {
  const struct arc_spawn *how;
  int fds[3];
  int report; /* errno goes here when exec fails */
  pid_t parent;
};

static const struct {
  const char *name;
  int number;
} signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},
               {"ILL", SIGILL},   {"ABRT", SIGABRT}, {"FPE", SIGFPE},
               {"KILL", SIGKILL}, {"SEGV", SIGSEGV}, {"PIPE", SIGPIPE},
               {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"USR1", SIGUSR1},
               {"USR2", SIGUSR2}, {"CHLD", SIGCHLD}, {"CONT", SIGCONT},
               {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"BUS", SIGBUS},
               {"TRAP", SIGTRAP}, {"XCPU", SIGXCPU}, {"WINCH", SIGWINCH},
               {"SYS", SIGSYS}};

const char *arc_signal_name(int signal) {
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    if (signals[i].number == signal) {
      return signals[i].name;
    }
  }
  return "?";
}

int arc_signal_number(const char *name) {
  if (!strncmp(name, "SIG", 3)) {
    name += 3;
  }
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    if (!strcmp(signals[i].name, name)) {
      return signals[i].number;
    }
  }
  return 0;
}

static void reset_signals(void) {
  sigset_t none;
  for (int number = 1; number < NSIG; number++) {
    signal(number, SIG_DFL);
  }
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool become(const struct arc_spawn *how) {
  if (how->hostname && unshare(CLONE_NEWUTS) == 0) {
    (void)!sethostname(how->hostname, strlen(how->hostname));
  }
  if (how->drop && (setgroups(0, NULL) || setgid((gid_t)how->gid) ||
                    setuid((uid_t)how->uid))) {
    return false;
  }
  return !how->cwd || chdir(how->cwd) == 0;
}

/* ENOENT when no directory of PATH has the program: execvpe says EACCES when
 * one of them may not even be searched. */
static int exec_error(const char *program) {
  const char *path = getenv("PATH");
  if (errno != EACCES || strchr(program, '/') || !path) {
    return errno;
  }
  char candidate[PATH_MAX];
  while (*path) {
    size_t n = strcspn(path, ":");
    int whole =
        snprintf(candidate, sizeof candidate, "%.*s/%s", (int)n, path, program);
    if (whole < (int)sizeof candidate &&
        faccessat(AT_FDCWD, candidate, F_OK, AT_EACCESS) == 0) {
      return EACCES;
    }
    path += path[n] ? n + 1 : n;
  }
  return ENOENT;
}

/* Descriptors that a library has opened without care are none of the child's.
 * Kernels before 5.11 do not know the flag. */
static void keep_rest_back(void) {
#ifdef SYS_close_range
  const unsigned cloexec = 1U << 2;
  (void)!syscall(SYS_close_range, 3U, ~0U, cloexec);
#endif
}

/* Runs in the forked child: only async-signal-safe calls. */
static void run_child(const struct child *child) {
  const struct arc_spawn *how = child->how;
  reset_signals();
  if (how->session) {
    setsid();
  }
  for (int i = 0; i < 3; i++) { // first out of the way of 0..2
    int fd = child->fds[i];
    if (fd >= 0 && fd < 3 && fd != i) {
      fd = fcntl(fd, F_DUPFD, 3);
    }
    if (fd >= 0 && fd != i) {
      dup2(fd, i);
    } else if (fd == i) {
      fcntl(fd, F_SETFD, 0);
    }
  }
  keep_rest_back();
  if (become(how)) {
    // After the change of user, which clears it.
    if (how->die_with_parent) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    if (!how->die_with_parent || getppid() == child->parent) {
      execvpe(how->args[0], how->args, how->env);
    }
  }
  int error = errno;
  (void)!write(child->report, &error, sizeof error);
  _exit(127);
}

static void finish_waiting(struct arc_process *process) {
  while (process->waiting) {
    struct wait_op *op = process->waiting;
    process->waiting = op->next;
    op->process = NULL;
    arc_op_finish(&op->op, NULL);
  }
}

static pid_t wait_for(pid_t pid, int *status, int flags) {
  pid_t got;
  do {
    got = waitpid(pid, status, flags);
  } while (got < 0 && errno == EINTR);
  return got;
}

static void reap(struct arc_process *process, int flags) {
  if (process->ended) {
    return;
  }
  pid_t got = wait_for(process->pid, &process->status, flags);
  if (got == 0) {
    return;
  }
  if (got < 0) { // SIGCHLD is ignored here: nobody knows how it ended
    process->status = 0xff00;
  }
  process->ended = true;
  arc_loop_count(process->loop, ARC_N_CHILDREN, -1);
}

static void exited(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct arc_process *process = poll->data;
  reap(process, WNOHANG);
  if (process->ended) {
    uv_poll_stop(poll);
    finish_waiting(process);
  }
}

static void close_all(int *fds, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (fds[i] > 2) {
      close(fds[i]);
      fds[i] = -1;
    }
  }
}

/* Opens one of 0..2: theirs for the child, ours for the parent (or -1). */
static int open_stdio(const struct arc_spawn *how, int i, int *theirs,
                      int *ours) {
  int ends[2];
  switch (how->io[i]) {
  case ARC_STDIO_INHERIT:
    *theirs = i;
    return 0;
  case ARC_STDIO_PIPE:
    if (pipe2(ends, O_CLOEXEC)) {
      return errno;
    }
    *theirs = ends[i ? 1 : 0];
    *ours = ends[i ? 0 : 1];
    return 0;
  case ARC_STDIO_FILE:
    *theirs =
        open(how->stderr_path,
             O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    break;
  default:
    *theirs = open("/dev/null", O_RDWR | O_CLOEXEC);
  }
  return *theirs < 0 ? errno : 0;
}

static int open_all(const struct arc_spawn *how, struct child *child,
                    struct arc_process *process) {
  int from = 0;
  if (how->socket) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
      return errno;
    }
    process->fds[0] = ends[0];
    child->fds[0] = child->fds[1] = ends[1];
    from = 2;
  }
  for (int i = from; i < 3; i++) {
    int error = open_stdio(how, i, &child->fds[i], &process->fds[i]);
    if (error) {
      return error;
    }
  }
  return 0;
}

/* Forks; returns 0 or an errno, also that of a failed exec. */
static int start(struct arc_process *process, struct child *child) {
  int report[2];
  sigset_t all, before;
  if (pipe2(report, O_CLOEXEC)) {
    return errno;
  }
  child->report = report[1];
  child->parent = getpid();
  sigfillset(&all); // no handler of the parent runs in the child
  pthread_sigmask(SIG_SETMASK, &all, &before);
  process->pid = fork();
  if (process->pid == 0) {
    run_child(child);
  }
  int error = process->pid < 0 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(report[1]);
  if (!error) {
    int told = 0;
    ssize_t n;
    do {
      n = read(report[0], &told, sizeof told);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof told) {
      errno = told ? told : EIO;
      error = exec_error(child->how->args[0]);
      wait_for(process->pid, NULL, 0);
    }
  }
  close(report[0]);
  return error;
}

static void poll_closed(uv_handle_t *handle) { free(handle->data); }

static int watch(struct arc_process *process) {
  process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
  if (process->pidfd < 0) {
    return errno;
  }
  int status =
      uv_poll_init(arc_loop_uv(process->loop), &process->poll, process->pidfd);
  if (status) {
    return -status;
  }
  process->poll.data = process;
  uv_poll_start(&process->poll, UV_READABLE, exited);
  return 0;
}

struct arc_process *arc_process_spawn(struct arc_loop *loop,
                                      const struct arc_spawn *how,
                                      struct arc_err **err) {
  struct child child = {.how = how, .fds = {-1, -1, -1}};
  struct arc_process *process = calloc(1, sizeof *process);
  if (!process) {
    *err = arc_err_errno(ENOMEM, "start %s", how->args[0]);
    return NULL;
  }
  process->loop = loop;
  process->session = how->session;
  process->pidfd = -1;
  process->fds[0] = process->fds[1] = process->fds[2] = -1;
  int error = open_all(how, &child, process);
  if (!error) {
    error = start(process, &child);
  }
  if (how->socket) {
    child.fds[1] = -1; // the same descriptor as 0
  }
  close_all(child.fds, 3);
  if (!error) {
    error = watch(process);
    if (error) {
      kill(process->pid, SIGKILL);
      wait_for(process->pid, NULL, 0);
    }
  }
  if (error) {
    close_all(process->fds, 3);
    close_all(&process->pidfd, 1);
    free(process);
    *err = arc_err_errno(error, "start %s", how->args[0]);
    return NULL;
  }
  arc_loop_count(loop, ARC_N_CHILDREN, 1);
  return process;
}

int arc_process_pid(const struct arc_process *process) { return process->pid; }

int arc_process_take_fd(struct arc_process *process, int which) {
  int fd = process->fds[which];
  process->fds[which] = -1;
  return fd;
}

static void wait_detach(struct arc_op *op) {
  struct wait_op *leaving = (struct wait_op *)op;
  if (!leaving->process) {
    return;
  }
  struct wait_op **at = &leaving->process->waiting;
  while (*at != leaving) {
    at = &(*at)->next;
  }
  *at = leaving->next;
  leaving->process = NULL;
}

struct arc_op *arc_process_wait(struct arc_process *process) {
  static const struct arc_op_class cls = {.name = "process.wait",
                                          .detach = wait_detach};
  struct wait_op *op = arc_op_new(process->loop, &cls, sizeof *op, ARC_FOREVER);
  if (!op) {
    return NULL;
  }
  if (process->ended) {
    arc_op_finish(&op->op, NULL);
  } else {
    op->process = process;
    op->next = process->waiting;
    process->waiting = op;
  }
  return &op->op;
}

int arc_process_status(const struct arc_process *process) {
  return process->ended && WIFEXITED(process->status)
             ? WEXITSTATUS(process->status)
             : -1;
}

int arc_process_signal(const struct arc_process *process) {
  return process->ended && WIFSIGNALED(process->status)
             ? WTERMSIG(process->status)
             : 0;
}

int arc_process_kill(struct arc_process *process, int signal) {
  if (process->ended) {
    return -ESRCH;
  }
  pid_t target = process->session ? -process->pid : process->pid;
  return kill(target, signal) ? -errno : 0;
}

void arc_process_close(struct arc_process *process) {
  if (!process) {
    return;
  }
  if (!process->ended) {
    // SIGKILL ends it within moments; one that has become another user's
    // cannot be ended, and must not be waited for
    bool killed = arc_process_kill(process, SIGKILL) != -EPERM;
    reap(process, killed ? 0 : WNOHANG);
    if (!process->ended) {
      arc_loop_count(process->loop, ARC_N_CHILDREN, -1);
    }
  }
  while (process->waiting) {
    arc_op_cancel(&process->waiting->op,
                  arc_err_new(ARC_E_CLOSED, "the process was closed"));
  }
  close_all(process->fds, 3);
  uv_close((uv_handle_t *)&process->poll, poll_closed);
  close_all(&process->pidfd, 1);
}
