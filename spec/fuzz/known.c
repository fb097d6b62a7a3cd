/* SPDX-License-Identifier: MIT */
/* known_hosts: a line with the host, then the file. What the index finds is
 * what going through all lines finds. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "ssh/known_file.h"
#include "ssh/known_hosts.h"

enum { TYPES_MAX = 8 };

static void check_entry(const struct arc_known_file *f,
                        const struct arc_known_entry *e) {
  DEMAND(*e->hosts && *e->type && *e->key);
  DEMAND(!strpbrk(e->hosts, " \t\r\n") && !strpbrk(e->type, " \t\r\n"));
  DEMAND(!strpbrk(e->key, " \t\r\n"));
  DEMAND(e->line >= 1 && e->line <= f->lines);
}

static void check_index(const struct arc_known_file *f, const char *host) {
  const struct arc_known_entry *e;
  size_t at = 0, found = 0, all = 0;
  while ((e = arc_known_file_next(f, host, &at))) {
    DEMAND(arc_known_match(e->hosts, host) && ++found <= f->count);
  }
  for (size_t i = 0; i < f->count; i++) {
    check_entry(f, &f->entries[i]);
    all += arc_known_match(f->entries[i].hosts, host);
  }
  DEMAND(found == all);
}

/* A name that a session may have. */
static void tame(char *host) {
  for (char *c = host; *c; c++) {
    if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.-[]:", *c)) {
      *c = 'x';
    }
  }
}

static void check_policy(const char *path, const char *host,
                         enum arc_hash_hosts hash) {
  const char *const files[] = {path, NULL};
  const char *types[TYPES_MAX];
  static const char type[] = "ssh-ed25519", key[] = "AAAAC3NzaC1lZDI1NTE5";
  struct arc_loop *loop = arc_loop_new();
  DEMAND(loop);
  struct arc_known_hosts *known = arc_known_hosts_of(loop);
  struct arc_known_place place = {0};
  enum arc_known was =
      arc_known_hosts_check(known, files, host, type, key, &place);
  size_t n = arc_known_hosts_types(known, files, host, types, TYPES_MAX);
  DEMAND(n <= TYPES_MAX && (was != ARC_UNKNOWN || !n));
  DEMAND(was != ARC_CHANGED || (n && place.line));
  enum arc_known now =
      arc_known_hosts_add(known, files, host, type, key, hash, &place);
  DEMAND(now == (was == ARC_UNKNOWN ? ARC_KNOWN : was));
  DEMAND(arc_known_hosts_check(known, files, host, type, key, NULL) == now);
  arc_loop_free(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  char *host = fuzz_line(&in);
  char path[64];
  int fd = memfd_create("known_hosts", MFD_CLOEXEC);
  DEMAND(fd >= 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  DEMAND(write(fd, in.at, in.left) == (ssize_t)in.left);
  struct arc_known_file *f = arc_known_file_new(path);
  DEMAND(f);
  arc_known_file_refresh(f);
  check_index(f, host);
  arc_known_file_free(f);
  tame(host);
  if (*host) {
    check_policy(path, host, (enum arc_hash_hosts)(size % 3));
  }
  free(host);
  close(fd);
  return 0;
}
