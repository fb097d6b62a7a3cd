/* SPDX-License-Identifier: MIT */
#include "net/terminal.h"

#include <errno.h>
#include <termios.h>
#include <unistd.h>

/* Static, since a signal handler that leaves the program at once must be able
 * to put them back. fd -1: unchanged. */
struct changed {
  struct termios before;
  volatile int fd;
};
static struct changed echo = {.fd = -1}, raw = {.fd = -1};

/* A process in the background must not touch the terminal: it would be
 * stopped, and the shell has settings of its own there. */
static bool in_background(int fd) {
  pid_t front = tcgetpgrp(fd);
  return front >= 0 && front != getpgrp();
}

static void put_back(struct changed *what) {
  int fd = what->fd;
  what->fd = -1;
  if (fd >= 0 && !in_background(fd)) {
    tcsetattr(fd, TCSANOW, &what->before);
  }
}

bool arc_terminal_hide(int fd) {
  struct termios hidden;
  if (echo.fd >= 0 || tcgetattr(fd, &echo.before)) {
    return false;
  }
  hidden = echo.before;
  hidden.c_lflag = (hidden.c_lflag & ~(tcflag_t)ECHO) | ECHONL;
  echo.fd = fd;
  tcsetattr(fd, TCSAFLUSH, &hidden);
  return true;
}

void arc_terminal_show(void) { put_back(&echo); }

int arc_terminal_raw(int fd) {
  struct termios now;
  if (tcgetattr(fd, &now)) {
    return -errno;
  }
  if (raw.fd >= 0 && raw.fd != fd) {
    return -EBUSY;
  }
  if (in_background(fd)) {
    return -EAGAIN;
  }
  if (raw.fd < 0) {
    raw.before = now;
  }
  cfmakeraw(&now);
  now.c_iflag |= IGNPAR;
  now.c_cc[VMIN] = 1;
  now.c_cc[VTIME] = 0;
  raw.fd = fd;
  return tcsetattr(fd, TCSANOW, &now) ? -errno : 0;
}

void arc_terminal_cooked(void) { put_back(&raw); }

bool arc_terminal_is_raw(void) { return raw.fd >= 0; }

void arc_terminal_restore(void) {
  put_back(&echo);
  put_back(&raw);
}
