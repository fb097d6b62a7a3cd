/* SPDX-License-Identifier: MIT */
/* The Azure Arc agent's challenge: which file it names, and what is read.
 * "@" in the input is the directory. */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "azure/himds.h"

static const char right[] = "the agent's key", wrong[] = "somebody's secret";

static char dir[] = "/tmp/arclua-fuzz-himds.XXXXXX";

static void put(const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, S_IRUSR | S_IWUSR);
  DEMAND(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
}

static void path_of(char *to, size_t size, const char *name) {
  snprintf(to, size, "%s/%s", dir, name);
}

static void remove_all(void) {
  static const char *const names[] = {
      "keys/a.key", "keys/b.txt", "keys/sub/c.key", "keys/link.key", "d.key"};
  char path[128];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    path_of(path, sizeof path, names[i]);
    unlink(path);
  }
  path_of(path, sizeof path, "keys/sub");
  rmdir(path);
  path_of(path, sizeof path, "keys");
  rmdir(path);
  rmdir(dir);
}

static void make_all(void) {
  char path[128];
  DEMAND(mkdtemp(dir));
  atexit(remove_all);
  path_of(path, sizeof path, "keys");
  DEMAND(!mkdir(path, S_IRWXU));
  path_of(path, sizeof path, "keys/sub");
  DEMAND(!mkdir(path, S_IRWXU));
  put("keys/a.key", right);
  put("keys/b.txt", wrong);
  put("keys/sub/c.key", wrong);
  put("d.key", wrong);
  path_of(path, sizeof path, "keys/link.key");
  DEMAND(!symlink("../d.key", path));
}

/* The input with the directory in it. */
static char *fill_in(const uint8_t *data, size_t size, const char *keys) {
  size_t n = strlen(keys);
  char *text = malloc(size * n + 1), *to = text;
  DEMAND(text);
  for (size_t i = 0; i < size; i++) {
    if (data[i] == '@') {
      memcpy(to, keys, n);
      to += n;
    } else {
      *to++ = (char)data[i];
    }
  }
  *to = '\0';
  return text;
}

static void check_path(const char *challenge, const char *keys) {
  struct arc_buf path = {0};
  if (arc_himds_path(challenge, keys, &path)) {
    const char *text = (const char *)arc_buf_head(&path);
    size_t n = strlen(text), begin = strlen(keys);
    DEMAND(n + 1 == arc_buf_len(&path) && n > begin + 5);
    DEMAND(!strncmp(text, keys, begin) && text[begin] == '/');
    DEMAND(!strchr(text + begin + 1, '/') && text[begin + 1] != '.');
    DEMAND(!strcmp(text + n - 4, ".key"));
  }
  arc_buf_free(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static bool made;
  char keys[128];
  if (!made) {
    made = true;
    make_all();
  }
  path_of(keys, sizeof keys, "keys");
  char *challenge = fill_in(data, size, keys);
  struct arc_secret *key = NULL;
  check_path(challenge, keys);
  struct arc_err *err = arc_himds_read(challenge, keys, &key);
  DEMAND(!err == (key != NULL));
  if (err) {
    fuzz_check_error(err);
  } else {
    DEMAND(!strcmp(key->bytes, right));
  }
  arc_err_unref(err);
  arc_secret_unref(key);
  free(challenge);
  return 0;
}
