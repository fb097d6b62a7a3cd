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

/* A parsed file; the newest of a path comes first. Kept as long as there are
 * users, as sessions may still log in with an older one. */
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
  unsigned users;
  struct entry *entries;
};

static void free_entry(struct entry *e) {
  ssh_key_free(e->key.secret);
  arc_pubkey_unref(e->key.pub);
  arc_pubkey_unref(e->key.cert);
  arc_secret_unref(e->passphrase);
  free(e->path);
  free(e);
}

static void forget_all(struct keys *keys) {
  while (keys->entries) {
    struct entry *e = keys->entries;
    keys->entries = e->next;
    free_entry(e);
  }
}

static void free_keys(struct arc_part *part) {
  struct keys *keys = (struct keys *)part;
  forget_all(keys);
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

bool arc_keys_use(struct arc_loop *loop) {
  struct keys *keys = keys_of(loop);
  if (keys) {
    keys->users++;
  }
  return keys;
}

void arc_keys_leave(struct arc_loop *loop) {
  struct keys *keys = keys_of(loop);
  if (!--keys->users) {
    forget_all(keys);
  }
}

/* The same bytes: what opened the key once opens it again. */
static bool same_secret(const struct arc_secret *a,
                        const struct arc_secret *b) {
  return a && b && a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

static bool same_time(struct timespec a, struct timespec b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* PATH-cert.pub, for PATH and for PATH.pub. */
static bool cert_name(const char *path, char *name, size_t size) {
  size_t len = strlen(path);
  if (len > 4 && !strcmp(path + len - 4, ".pub")) {
    len -= 4;
  }
  int n = snprintf(name, size, "%.*s-cert.pub", (int)len, path);
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

/* locked: what is known of an encrypted file that was not opened. */
static struct entry *find(struct keys *keys, const char *path,
                          const struct stat *st,
                          const struct arc_secret *passphrase, bool locked) {
  struct timespec certified = cert_time(path);
  for (struct entry *e = keys->entries; e; e = e->next) {
    if (e->key.locked == locked && !strcmp(e->path, path) &&
        e->size == st->st_size && same_time(e->modified, st->st_mtim) &&
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
  } else {
    ssize_t n = read(fd, text, sizeof text);
    secret = n < 0 ? NULL : arc_secret_new(text, (size_t)n);
    *err = n < 0 ? arc_err_reason("ssh.bad-key", "read the key %s: %s", path,
                                  strerror(errno))
           : !secret ? arc_err_new(ARC_E_NOMEM, "out of memory")
                     : NULL;
    explicit_bzero(text, sizeof text);
  }
  if (fd >= 0) {
    close(fd);
  }
  return secret;
}

ssh_key arc_keys_certify(ssh_key secret, const struct arc_pubkey *cert) {
  ssh_key both = ssh_key_dup(secret);
  if (both && ssh_pki_copy_cert_to_privkey(cert->key, both) != SSH_OK) {
    ssh_key_free(both);
    both = NULL;
  }
  return both;
}

/* The certificate beside path, if it is one of this key. */
static struct arc_pubkey *beside(const char *path,
                                 const struct arc_pubkey *pub) {
  char name[PATH_MAX];
  struct arc_pubkey *cert =
      cert_name(path, name, sizeof name) ? arc_pubkey_read(name) : NULL;
  if (cert && (!arc_pubkey_certificate(cert) ||
               (pub && strcmp(cert->plain, pub->plain) != 0))) {
    arc_pubkey_unref(cert);
    cert = NULL;
  }
  return cert;
}

/* The public half of a private key that cannot be read as such. */
static struct arc_pubkey *public_half(const char *path) {
  char name[PATH_MAX];
  struct arc_pubkey *pub = arc_pubkey_read(path);
  int n = snprintf(name, sizeof name, "%s.pub", path);
  if (!pub && n > 0 && (size_t)n < sizeof name) {
    pub = arc_pubkey_read(name);
  }
  return pub;
}

/* Parses the text; *asked: it is encrypted and passphrase is NULL. */
static ssh_key parse(const struct arc_secret *text, const char *passphrase,
                     bool *asked) {
  ssh_key key = NULL;
  int rc = ssh_pki_import_privkey_base64(text->bytes, passphrase, never_ask,
                                         asked, &key);
  return rc == SSH_OK ? key : NULL;
}

/* A private key whose secret is in a device (FIDO) signs by an agent only. */
static void settle(struct arc_key *key, const char *path) {
  if (key->secret) {
    key->pub = arc_pubkey_of(key->secret);
  }
  if (!key->pub) {
    key->pub = public_half(path);
  }
  if (key->pub && !strncmp(key->pub->type, "sk-", 3)) {
    ssh_key_free(key->secret);
    key->secret = NULL;
    key->locked = false;
  }
  if (key->pub || key->locked) {
    key->cert = beside(path, key->pub);
  }
}

/* Reads the text of the file as a key; *used: the passphrase opened it. */
static struct arc_key read_key(const char *path, const struct arc_secret *text,
                               const struct arc_secret *passphrase,
                               bool *used) {
  struct arc_key key = {0};
  bool encrypted = false;
  if (strstr(text->bytes, "PRIVATE KEY")) {
    key.secret = parse(text, NULL, &encrypted);
    if (!key.secret && encrypted && passphrase) {
      bool again = false;
      key.secret = parse(text, passphrase->bytes, &again);
      *used = key.secret;
    }
    key.locked = encrypted && !key.secret;
  }
  settle(&key, path);
  arc_wipe_heap();
  arc_wipe_stack();
  return key;
}

static const struct arc_key *remember(struct keys *keys, const char *path,
                                      const struct stat *st, struct arc_key key,
                                      struct arc_secret *passphrase) {
  struct entry *e = calloc(1, sizeof *e);
  char *copy = strdup(path);
  if (!e || !copy) {
    free(e);
    free(copy);
    ssh_key_free(key.secret);
    arc_pubkey_unref(key.pub);
    arc_pubkey_unref(key.cert);
    return NULL;
  }
  e->path = copy;
  e->key = key;
  e->modified = st->st_mtim;
  e->certified = cert_time(path);
  e->size = st->st_size;
  e->passphrase = passphrase ? arc_secret_ref(passphrase) : NULL;
  e->next = keys->entries;
  keys->entries = e;
  return &e->key;
}

/* Private text that others can read is no secret. */
static bool is_open(const struct arc_secret *text, const struct stat *st) {
  return st->st_uid == geteuid() && (st->st_mode & 077) &&
         strstr(text->bytes, "PRIVATE KEY");
}

static const struct arc_key *load(struct keys *keys, const char *path,
                                  struct arc_secret *passphrase,
                                  struct arc_err **err) {
  struct stat st;
  bool used = false;
  struct arc_secret *text = slurp(path, &st, err);
  if (!text) {
    return NULL;
  }
  const struct arc_key *key = NULL;
  struct entry *e = find(keys, path, &st, passphrase, false);
  if (is_open(text, &st)) {
    *err = arc_err_reason(
        "ssh.bad-key", "the key %s can be read by others: chmod 600 it", path);
  } else if (e) {
    key = &e->key;
  } else {
    struct arc_key fresh = read_key(path, text, passphrase, &used);
    e = fresh.locked ? find(keys, path, &st, NULL, true) : NULL;
    if (e) {
      arc_pubkey_unref(fresh.pub);
      arc_pubkey_unref(fresh.cert);
      key = &e->key;
    } else if (!fresh.pub && !fresh.locked) {
      *err = arc_err_reason("ssh.bad-key", "%s does not hold a key", path);
    } else {
      key = remember(keys, path, &st, fresh, used ? passphrase : NULL);
    }
  }
  arc_secret_unref(text);
  return key;
}

const struct arc_key *arc_keys_load(struct arc_loop *loop, const char *path,
                                    struct arc_secret *passphrase,
                                    struct arc_err **err) {
  struct keys *keys = keys_of(loop);
  char name[PATH_MAX];
  *err = NULL;
  const struct arc_key *key = NULL;
  int n = snprintf(name, sizeof name, "%s.pub", path);
  if (keys && access(path, F_OK) && n > 0 && (size_t)n < sizeof name &&
      !access(name, R_OK)) {
    key = load(keys, name, passphrase, err);
  } else if (keys) {
    key = load(keys, path, passphrase, err);
  }
  if (!key && !*err) {
    *err = arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  return key;
}
