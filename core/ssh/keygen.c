/* SPDX-License-Identifier: MIT */
#include "ssh/keygen.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"

/* 0 or a negative errno; a file made in part is removed. */
static int write_new(const char *path, const char *text, mode_t mode) {
  int fd =
      open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) {
    return -errno;
  }
  size_t n = strlen(text);
  int rc = 0;
  if (fchmod(fd, mode) || write(fd, text, n) != (ssize_t)n) {
    rc = errno ? -errno : -EIO;
  }
  if (close(fd) && !rc) {
    rc = -errno;
  }
  if (rc) {
    unlink(path);
  }
  return rc;
}

static char *public_line(ssh_key key, const char *comment) {
  char *base64 = NULL;
  char *line = NULL;
  if (ssh_pki_export_pubkey_base64(key, &base64) == SSH_OK &&
      asprintf(&line, "ssh-ed25519 %s%s%s\n", base64, *comment ? " " : "",
               comment) < 0) {
    line = NULL;
  }
  ssh_string_free_char(base64);
  return line;
}

struct arc_err *arc_ssh_write_pair(const char *path, const char *private_text,
                                   const char *line) {
  char public_path[PATH_MAX];
  int n = snprintf(public_path, sizeof public_path, "%s.pub", path);
  if (n < 0 || (size_t)n >= sizeof public_path) {
    return arc_err_errno(-ENAMETOOLONG, "write the key %s", path);
  }
  int rc = write_new(path, private_text, 0600);
  if (rc) {
    return arc_err_errno(rc, "write the key %s", path);
  }
  rc = write_new(public_path, line, 0644);
  if (rc) {
    unlink(path);
    return arc_err_errno(rc, "write the key %s", public_path);
  }
  return NULL;
}

struct arc_err *arc_ssh_keygen(const char *path, const char *comment,
                               char **line) {
  ssh_key key = NULL;
  char *text = NULL;
  struct arc_err *err = NULL;
  *line = NULL;
  if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) == SSH_OK &&
      ssh_pki_export_privkey_base64(key, NULL, NULL, NULL, &text) == SSH_OK) {
    *line = public_line(key, comment);
  }
  err = *line ? arc_ssh_write_pair(path, text, *line)
              : arc_err_new(ARC_E_NOMEM, "cannot make a key");
  if (err) {
    free(*line);
    *line = NULL;
  }
  if (text) {
    explicit_bzero(text, strlen(text));
    ssh_string_free_char(text);
  }
  ssh_key_free(key);
  return err ? arc_err_at(err, "ssh.keygen", NULL) : NULL;
}
