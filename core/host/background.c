/* SPDX-License-Identifier: MIT */
#include "host/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "lua/lcore.h"

/* The descriptor becomes /dev/null. */
static void detach(int fd, int flags) {
  int null = open("/dev/null", flags | O_CLOEXEC);
  if (null >= 0) {
    dup2(null, fd);
    close(null);
  }
}

/* background(quiet): the caller's shell gets its prompt back, we go on in a
 * session of our own. quiet: nothing more is printed, so that whoever reads
 * our output finds its end. Threads do not come along: libuv makes its own
 * anew, and so does the one for agents. */
static int l_background(lua_State *L) {
  struct arc_loop *loop = arc_getloop(L);
  bool quiet = lua_toboolean(L, 1);
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) {
    return arc_pushfailnew(L, arc_err_errno(errno, "go to the background"));
  }
  if (pid > 0) {
    _exit(0);
  }
  setsid();
  int status = uv_loop_fork(arc_loop_uv(loop));
  detach(STDIN_FILENO, O_RDONLY);
  if (quiet) {
    detach(STDOUT_FILENO, O_WRONLY);
    detach(STDERR_FILENO, O_WRONLY);
  }
  if (status) {
    return arc_pushfailnew(L, arc_err_errno(status, "go to the background"));
  }
  lua_pushboolean(L, 1);
  return 1;
}

void arc_open_background(lua_State *L) {
  lua_pushcfunction(L, l_background);
  lua_setfield(L, -2, "background");
}
