/* SPDX-License-Identifier: MIT */
/* What an SSH agent answers when it is asked for its keys. The first byte: the
 * size of the pieces. */
#include "fuzz.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ssh/agent.h"

enum { TURNS_MAX = 1 << 16 };

static char dir[] = "/tmp/arclua-fuzz.XXXXXX";
static struct sockaddr_un place = {.sun_family = AF_UNIX};

static void remove_place(void) {
  unlink(place.sun_path);
  rmdir(dir);
}

/* One socket a process, for the inputs one after the other. */
static int listening(void) {
  static int fd = -1;
  if (fd < 0) {
    DEMAND(mkdtemp(dir));
    snprintf(place.sun_path, sizeof place.sun_path, "%s/agent", dir);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    DEMAND(fd >= 0 && !bind(fd, (struct sockaddr *)&place, sizeof place));
    DEMAND(!listen(fd, 8));
    atexit(remove_place);
  }
  return fd;
}

static void count(void *arg) { ++*(int *)arg; }

static void turn(struct arc_loop *loop, const int *told) {
  for (int i = 0; !*told && i < 4; i++) {
    arc_loop_turn(loop, false);
  }
}

static void check_keys(const struct arc_agent_job *job) {
  size_t n = 0;
  struct arc_pubkey *const *keys = arc_agent_keys(job, &n);
  if (arc_agent_err(job)) {
    fuzz_check_error(arc_agent_err(job));
  }
  for (size_t i = 0; i < n; i++) {
    DEMAND(keys[i] && keys[i]->key);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  size_t piece = (size_t)(fuzz_byte(&in) + 1) * 16;
  int told = 0;
  struct arc_err *err = NULL;
  int listener = listening();
  struct arc_loop *loop = arc_loop_new();
  DEMAND(loop);
  struct arc_agent_job *job =
      arc_agent_open(loop, place.sun_path, count, &told, &err);
  DEMAND(job && !err);
  int fd = accept(listener, NULL, NULL);
  DEMAND(fd >= 0);
  while (in.left && !told) {
    size_t n = piece < in.left ? piece : in.left;
    ssize_t sent = send(fd, in.at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    n = sent > 0 ? (size_t)sent : 0;
    in.at += n;
    in.left -= n;
    turn(loop, &told);
  }
  close(fd);
  for (int turns = 0; !told; turns++) {
    DEMAND(turns < TURNS_MAX);
    turn(loop, &told);
  }
  DEMAND(told == 1 && !arc_agent_listing(job));
  check_keys(job);
  arc_agent_free(job);
  arc_loop_free(loop);
  return 0;
}
