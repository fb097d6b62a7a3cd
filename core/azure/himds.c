/* SPDX-License-Identifier: MIT */
#include "azure/himds.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "azure/challenge.h"
#include "util/err.h"
#include "util/secretfile.h"

static const char suffix[] = ".key";

/* The name of a key file, which cannot lead out of its directory. */
static bool is_name(const char *name) {
  size_t n = strlen(name), end = sizeof suffix - 1;
  if (n <= end || strcmp(name + n - end, suffix) != 0 || *name == '.') {
    return false;
  }
  for (; *name; name++) {
    if (!isalnum((unsigned char)*name) && !strchr("._-", *name)) {
      return false;
    }
  }
  return true;
}

bool arc_himds_path(const char *challenge, const char *directory,
                    struct arc_buf *path) {
  size_t before = arc_buf_len(path), n = strlen(directory);
  const char *equals = strchr(challenge, '=');
  if (!equals || strchr(equals + 1, '=') || // one challenge, one parameter
      !arc_challenge_param(challenge, "basic", "realm", path) ||
      !arc_buf_append(path, "", 1)) {
    return false;
  }
  const char *text = (const char *)arc_buf_head(path) + before;
  return strlen(text) == arc_buf_len(path) - before - 1 &&
         !strncmp(text, directory, n) && text[n] == '/' &&
         is_name(text + n + 1);
}

static struct arc_err *refuse(const char *path, const char *what) {
  return arc_err_new(ARC_E_CONFIG, "%s %s", path, what);
}

static void cut_line_end(struct arc_secret *key) {
  while (key->len && strchr("\r\n", key->bytes[key->len - 1]) &&
         key->bytes[key->len - 1]) {
    key->bytes[--key->len] = '\0';
  }
}

static struct arc_err *read_key(const char *path, const char *directory,
                                struct arc_secret **key) {
  uid_t owner = 0;
  struct stat st;
  struct arc_err *err =
      arc_secretfile_read(path, ARC_HIMDS_KEY_MAX, false, key, &owner);
  if (err) {
    return err;
  }
  cut_line_end(*key);
  if (!(*key)->len) {
    return refuse(path, "is empty");
  }
  if (owner && (stat(directory, &st) || st.st_uid != owner)) {
    return refuse(path, "is not the agent's own file");
  }
  return NULL;
}

struct arc_err *arc_himds_read(const char *challenge, const char *directory,
                               struct arc_secret **key) {
  struct arc_buf path = {0};
  *key = NULL;
  struct arc_err *err =
      arc_himds_path(challenge, directory, &path)
          ? read_key((const char *)arc_buf_head(&path), directory, key)
          : arc_err_new(ARC_E_CONFIG, "its challenge names no key file of %s",
                        directory);
  arc_buf_free(&path);
  if (err) {
    arc_secret_unref(*key);
    *key = NULL;
  }
  return err;
}
