/* SPDX-License-Identifier: MIT */
#include "azure/relaycache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "azure/json.h"
#include "crypto/digest.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/privatefile.h"

enum {
  VERSION = 1,
  FILE_MAX = 64 * 1024,
  PORT_MAX = 65535,
  NAME_SIZE = 2 * ARC_SHA256_SIZE + 1
};

static bool name_of(const char *key, char name[NAME_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  uint8_t digest[ARC_SHA256_SIZE];
  if (!arc_crypto_sha256(key, strlen(key), digest)) {
    return false;
  }
  for (size_t i = 0; i < ARC_SHA256_SIZE; i++) {
    name[2 * i] = digits[digest[i] >> 4];
    name[2 * i + 1] = digits[digest[i] & 0xf];
  }
  name[NAME_SIZE - 1] = '\0';
  return true;
}

static struct arc_err *no_memory(void) {
  return arc_err_new(ARC_E_NOMEM, "out of memory");
}

/* ---- reading ---------------------------------------------------------------
 */

static struct arc_relayinfo *judge(const json_t *root, const char *key,
                                   int *port, struct arc_err **err) {
  const char *whose = arc_json_text(root, "key");
  json_int_t number = json_integer_value(json_object_get(root, "port"));
  if (json_integer_value(json_object_get(root, "version")) != VERSION ||
      !whose || strcmp(whose, key) != 0 || number < 1 || number > PORT_MAX) {
    *err = arc_err_new(ARC_E_CONFIG, "kept relay credentials are damaged");
    return NULL;
  }
  *port = (int)number;
  return arc_relayinfo_read(root, err);
}

struct arc_relayinfo *arc_relaycache_read(const char *dir, const char *key,
                                          int *port, struct arc_err **err) {
  char name[NAME_SIZE];
  int fd = -1;
  struct arc_buf text = {.secret = true};
  struct arc_relayinfo *info = NULL;
  *err =
      name_of(key, name) ? arc_privatedir_open(dir, false, &fd) : no_memory();
  if (!*err && fd >= 0) {
    *err = arc_privatefile_read(fd, name, FILE_MAX, &text);
  }
  if (!*err && arc_buf_len(&text)) {
    json_t *root =
        arc_json_secret((const char *)arc_buf_head(&text), arc_buf_len(&text));
    info = judge(root, key, port, err);
    arc_json_wipe(root);
  }
  arc_buf_free(&text);
  if (fd >= 0) {
    close(fd);
  }
  return info;
}

/* ---- writing ---------------------------------------------------------------
 */

static int append(const char *text, size_t n, void *buf) {
  return arc_buf_append(buf, text, n) ? 0 : -1;
}

static bool spell(const struct arc_relayinfo *info, const char *key, int port,
                  struct arc_buf *text) {
  json_t *relay = arc_relayinfo_json(info);
  json_t *root = relay ? json_pack("{s:i, s:s, s:i, s:O}", "version", VERSION,
                                   "key", key, "port", port, "relay", relay)
                       : NULL;
  bool ok = root && !json_dump_callback(root, append, text, JSON_COMPACT);
  json_decref(root);
  arc_json_wipe(relay);
  return ok;
}

struct arc_err *arc_relaycache_write(const char *dir, const char *key,
                                     const struct arc_relayinfo *info,
                                     int port) {
  char name[NAME_SIZE];
  int fd = -1;
  struct arc_buf text = {.secret = true};
  struct arc_err *err = NULL;
  if (!name_of(key, name) || !spell(info, key, port, &text)) {
    err = no_memory();
  }
  if (!err) {
    err = arc_privatedir_open(dir, true, &fd);
  }
  if (!err) {
    err = arc_privatefile_write(fd, name, arc_buf_head(&text),
                                arc_buf_len(&text));
  }
  arc_buf_free(&text);
  if (fd >= 0) {
    close(fd);
  }
  return err;
}

/* ---- forgetting ------------------------------------------------------------
 */

struct arc_err *arc_relaycache_remove(const char *dir, const char *key) {
  char name[NAME_SIZE];
  int fd = -1;
  struct arc_err *err =
      name_of(key, name) ? arc_privatedir_open(dir, false, &fd) : no_memory();
  if (!err && fd >= 0) {
    if (unlinkat(fd, name, 0) && errno != ENOENT) {
      err = arc_err_errno(-errno, "remove %s", name);
    }
    close(fd);
  }
  return err;
}

static void remove_old(int fd, const char *name, time_t before) {
  struct stat st;
  if (!fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
      st.st_mtime < before) {
    unlinkat(fd, name, 0);
  }
}

struct arc_err *arc_relaycache_prune(const char *dir, double seconds) {
  int fd = -1;
  struct arc_err *err = arc_privatedir_open(dir, false, &fd);
  DIR *list = !err && fd >= 0 ? fdopendir(fd) : NULL;
  if (list) {
    struct dirent *entry;
    time_t before = time(NULL) - (time_t)seconds;
    while ((entry = readdir(list))) {
      remove_old(dirfd(list), entry->d_name, before);
    }
    closedir(list);
  } else if (fd >= 0) {
    err = arc_err_errno(-errno, "read %s", dir);
    close(fd);
  }
  return err;
}
