/* SPDX-License-Identifier: MIT */
#include "ssh/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"

enum { KEY_FILE_MAX = 64 * 1024 };

/* A parsed file; the newest of a path comes first. Kept until the loop goes,
 * as sessions may still log in with an older one. */
struct entry {
  struct arc_key key;
  struct entry *next;
  char *path;
  struct timespec modified, certified; /* of the file, its certificate */
  off_t size;
  struct arc_secret *passphrase; /* what opened it, or NULL */
};

struct keys {
  struct arc_part part;
  struct entry *entries;
};

static void free_entry(struct entry *e) {
  ssh_key_free(e->key.plain);
  ssh_key_free(e->key.certified);
  arc_secret_unref(e->passphrase);
  free(e->path);
  free(e);
}

static void free_keys(struct arc_part *part) {
  struct keys *keys = (struct keys *)part;
  while (keys->entries) {
    struct entry *e = keys->entries;
    keys->entries = e->next;
    free_entry(e);
  }
  free(keys);
}

static struct keys *keys_of(struct arc_loop *loop) {
  static const char name[] = "ssh.keys";
  struct keys *keys = (struct keys *)arc_loop_part(loop, name);
  if (!keys && (keys = calloc(1, sizeof *keys))) {
    keys->part.name = name;
    keys->part.free = free_keys;
    arc_loop_attach(loop, &keys->part);
  }
  return keys;
}

/* The same bytes: what opened the key once opens it again. */
static bool same_secret(const struct arc_secret *a,
                        const struct arc_secret *b) {
  return a && b && a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

static bool same_time(struct timespec a, struct timespec b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool cert_name(const char *path, char *name, size_t size) {
  int n = snprintf(name, size, "%s-cert.pub", path);
  return n > 0 && (size_t)n < size;
}

/* When the certificate was written; 0 = there is none. */
static struct timespec cert_time(const char *path) {
  char name[PATH_MAX];
  struct stat st;
  if (!cert_name(path, name, sizeof name) || stat(name, &st)) {
    return (struct timespec){0, 0};
  }
  return st.st_mtim;
}

static struct entry *find(struct keys *keys, const char *path,
                          const struct stat *st,
                          const struct arc_secret *passphrase) {
  struct timespec certified = cert_time(path);
  for (struct entry *e = keys->entries; e; e = e->next) {
    if (!strcmp(e->path, path) && e->size == st->st_size &&
        same_time(e->modified, st->st_mtim) &&
        same_time(e->certified, certified) &&
        (!e->passphrase || same_secret(e->passphrase, passphrase))) {
      return e;
    }
  }
  return NULL;
}

/* Without it OpenSSL would ask for a passphrase at the terminal. */
static int never_ask(const char *prompt, char *buf, size_t len, int echo,
                     int verify, void *asked) {
  (void)prompt, (void)echo, (void)verify;
  if (len) {
    buf[0] = '\0';
  }
  *(bool *)asked = true;
  return -1;
}

/* The file's text, or NULL with *err. */
static struct arc_secret *slurp(const char *path, struct stat *st,
                                struct arc_err **err) {
  char text[KEY_FILE_MAX];
  struct arc_secret *secret = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat(fd, st)) {
    *err = arc_err_reason("ssh.bad-key", "read the key %s: %s", path,
                          strerror(errno));
  } else if (!S_ISREG(st->st_mode) || st->st_size >= KEY_FILE_MAX) {
    *err = arc_err_reason("ssh.bad-key", "%s is not a key file", path);
  } else if (st->st_uid == geteuid() && (st->st_mode & 077)) {
    *err = arc_err_reason(
        "ssh.bad-key", "the key %s can be read by others: chmod 600 it", path);
  } else {
    ssize_t n = read(fd, text, sizeof text);
    secret = arc_secret_new(text, n > 0 ? (size_t)n : 0);
    explicit_bzero(text, sizeof text);
    if (!secret) {
      *err = arc_err_new(ARC_E_NOMEM, "out of memory");
    }
  }
  if (fd >= 0) {
    close(fd);
  }
  return secret;
}

static ssh_key certify(ssh_key plain, const char *path) {
  char name[PATH_MAX];
  ssh_key cert = NULL;
  if (!cert_name(path, name, sizeof name) || access(name, R_OK) ||
      ssh_pki_import_cert_file(name, &cert) != SSH_OK) {
    return NULL;
  }
  ssh_key both = ssh_key_dup(plain);
  if (both && ssh_pki_copy_cert_to_privkey(cert, both) != SSH_OK) {
    ssh_key_free(both);
    both = NULL;
  }
  ssh_key_free(cert);
  return both;
}

/* Parses the text; *asked: it is encrypted and passphrase is NULL. */
static ssh_key parse(const struct arc_secret *text, const char *passphrase,
                     bool *asked) {
  ssh_key key = NULL;
  int rc = ssh_pki_import_privkey_base64(text->bytes, passphrase, never_ask,
                                         asked, &key);
  return rc == SSH_OK ? key : NULL;
}

static struct entry *remember(struct keys *keys, const char *path,
                              const struct stat *st, ssh_key key) {
  struct entry *e = calloc(1, sizeof *e);
  if (e && !(e->path = strdup(path))) {
    free(e);
    e = NULL;
  }
  if (!e) {
    ssh_key_free(key);
    return NULL;
  }
  e->key.plain = key;
  e->key.certified = certify(key, path);
  e->modified = st->st_mtim;
  e->certified = cert_time(path);
  e->size = st->st_size;
  e->next = keys->entries;
  keys->entries = e;
  return e;
}

const struct arc_key *arc_keys_load(struct arc_loop *loop, const char *path,
                                    struct arc_secret *passphrase, bool *locked,
                                    struct arc_err **err) {
  struct keys *keys = keys_of(loop);
  struct stat st;
  *locked = false;
  *err = keys ? NULL : arc_err_new(ARC_E_NOMEM, "out of memory");
  struct arc_secret *text = keys ? slurp(path, &st, err) : NULL;
  if (!text) {
    return NULL;
  }
  struct entry *e = find(keys, path, &st, passphrase);
  if (e) {
    arc_secret_unref(text);
    return &e->key;
  }
  bool encrypted = false;
  ssh_key key = parse(text, NULL, &encrypted);
  if (!key && encrypted && passphrase) {
    bool again = false;
    key = parse(text, passphrase->bytes, &again);
  }
  arc_secret_unref(text);
  if (!key) {
    *locked = encrypted && !passphrase;
    *err = arc_err_reason(
        "ssh.bad-key",
        !encrypted ? "%s does not hold a private key"
        : *locked  ? "the key %s is encrypted and no passphrase was given"
                   : "the passphrase does not open the key %s",
        path);
    return NULL;
  }
  e = remember(keys, path, &st, key);
  if (!e) {
    *err = arc_err_new(ARC_E_NOMEM, "out of memory");
    return NULL;
  }
  if (encrypted) {
    e->passphrase = arc_secret_ref(passphrase);
  }
  return &e->key;
}
