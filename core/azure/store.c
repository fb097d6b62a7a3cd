/* SPDX-License-Identifier: MIT */
#include "azure/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "azure/json.h"
#include "crypto/seal.h"
#include "util/buf.h"
#include "util/privatefile.h"

enum { STORE_MAX = 4 * 1024 * 1024 };

static const char file_name[] = "tokens.json";
static const char fresh_name[] = "tokens.json.new"; // the lock's holder alone
static const char lock_name[] = "tokens.lock";

/* ---- the lock --------------------------------------------------------------
 */

static int open_lock(int dir) {
  return openat(dir, lock_name,
                O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                S_IRUSR | S_IWUSR);
}

/* Does not wait: the loop goes on, and the caller comes again. */
static struct arc_err *lock_dir(int dir, int *lock) {
  *lock = open_lock(dir);
  if (*lock < 0) {
    return arc_err_errno(-errno, "open %s", lock_name);
  }
  if (flock(*lock, LOCK_EX | LOCK_NB) == 0) {
    return NULL;
  }
  int error = errno;
  close(*lock);
  *lock = -1;
  return error == EWOULDBLOCK
             ? arc_err_new(ARC_E_CONFLICT,
                           "another process changes the stored sign-ins")
             : arc_err_errno(-error, "lock %s", lock_name);
}

/* ---- the file --------------------------------------------------------------
 */

static bool is_text(const json_t *account, const char *key) {
  return !json_object_get(account, key) || arc_json_text(account, key);
}

static bool is_store(const json_t *root) {
  const char *id;
  json_t *account;
  json_t *accounts = json_object_get(root, "accounts");
  if (!json_is_object(accounts) ||
      json_integer_value(json_object_get(root, "version")) != 1) {
    return false;
  }
  json_object_foreach(accounts, id, account) {
    if (!json_is_object(account) || !is_text(account, "secret") ||
        !is_text(account, "sealed")) {
      return false;
    }
  }
  return true;
}

static struct arc_err *load(int dir, json_t **root) {
  struct arc_buf text = {.secret = true};
  struct arc_err *err =
      dir < 0 ? NULL : arc_privatefile_read(dir, file_name, STORE_MAX, &text);
  if (!err && arc_buf_len(&text)) {
    *root =
        arc_json_secret((const char *)arc_buf_head(&text), arc_buf_len(&text));
    if (!is_store(*root)) {
      arc_json_wipe(*root);
      *root = NULL;
      err = arc_err_new(ARC_E_CONFIG,
                        "%s: damaged, or of a newer arclua: `arclua logout "
                        "--all` removes it",
                        file_name);
    }
  } else if (!err) {
    *root = json_pack("{s:i,s:{}}", "version", 1, "accounts");
    err = *root ? NULL : arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  arc_buf_free(&text);
  return err;
}

static int append(const char *text, size_t n, void *buf) {
  return arc_buf_append(buf, text, n) ? 0 : -1;
}

static struct arc_err *save(int dir, const json_t *root) {
  struct arc_buf text = {.secret = true};
  struct arc_err *err = NULL;
  if (json_dump_callback(root, append, &text, JSON_INDENT(1)) ||
      !arc_buf_text(&text, "\n")) {
    err = arc_err_new(ARC_E_NOMEM, "out of memory");
  } else {
    err = arc_privatefile_replace(dir, file_name, fresh_name,
                                  arc_buf_head(&text), arc_buf_len(&text));
  }
  arc_buf_free(&text);
  return err;
}

/* ---- changes ---------------------------------------------------------------
 */

struct change {
  const char *id;
  json_t *account;                 /* or NULL */
  const struct arc_secret *secret; /* or NULL */
  const struct arc_secret *key;    /* or NULL */
  bool flag;
  bool done;
};

/* Sets change->done when root is to be written. */
typedef struct arc_err *edit(json_t *root, struct change *change);

static struct arc_err *change_locked(int dir, edit *fn, struct change *change) {
  int lock = -1;
  json_t *root = NULL;
  struct arc_err *err = lock_dir(dir, &lock);
  if (!err) {
    err = load(dir, &root);
  }
  if (!err) {
    err = fn(root, change);
  }
  if (!err && change->done) {
    err = save(dir, root);
  }
  arc_json_wipe(root);
  if (lock >= 0) {
    close(lock);
  }
  return err;
}

static struct arc_err *run(const char *path, edit *fn, struct change *change) {
  int dir = -1;
  struct arc_err *err = arc_privatedir_open(path, change->account, &dir);
  if (!err && dir >= 0) {
    err = change_locked(dir, fn, change);
  }
  if (dir >= 0) {
    close(dir);
  }
  return err;
}

static json_t *accounts_of(json_t *root) {
  return json_object_get(root, "accounts");
}

static bool is_default(const json_t *root, const char *id) {
  const char *chosen = arc_json_text(root, "default");
  return chosen && !strcmp(chosen, id);
}

/* Takes an account out of the object that owns it, so that it is wiped. */
static void drop(json_t *root, const char *id) {
  json_t *old = json_incref(json_object_get(accounts_of(root), id));
  json_object_del(accounts_of(root), id);
  arc_json_wipe(old);
}

/* Wipes a member that an account has had so far. */
static void drop_member(json_t *account, const char *name) {
  json_t *old = json_incref(json_object_get(account, name));
  json_object_del(account, name);
  arc_json_wipe(old);
}

static const uint8_t *key_bytes(const struct arc_secret *key) {
  return (const uint8_t *)key->bytes;
}

static json_t *sealed(const struct change *change) {
  struct arc_buf text = {0};
  json_t *value = NULL;
  if (arc_seal(&text, key_bytes(change->key), change->id, change->secret->bytes,
               change->secret->len)) {
    value = json_stringn((const char *)arc_buf_head(&text), arc_buf_len(&text));
  }
  arc_buf_free(&text);
  return value;
}

static struct arc_err *set_secret(json_t *account,
                                  const struct change *change) {
  if (!change->secret) {
    return NULL;
  }
  json_t *value =
      change->key ? sealed(change)
                  : json_stringn(change->secret->bytes, change->secret->len);
  if (!value) {
    return arc_err_new(ARC_E_CONFIG, "the secret is not UTF-8");
  }
  drop_member(account, "secret");
  drop_member(account, "sealed");
  if (json_object_set_new(account, change->key ? "sealed" : "secret", value)) {
    return arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  return NULL;
}

static struct arc_err *put(json_t *root, struct change *change) {
  struct arc_err *err = set_secret(change->account, change);
  if (err) {
    return err;
  }
  drop(root, change->id);
  if (json_object_set(accounts_of(root), change->id, change->account) ||
      ((change->flag || !json_object_get(root, "default")) &&
       json_object_set_new(root, "default", json_string(change->id)))) {
    return arc_err_new(ARC_E_CONFIG, "the account's name is not UTF-8");
  }
  change->done = true;
  return NULL;
}

static struct arc_err *renew(json_t *root, struct change *change) {
  json_t *account = json_object_get(accounts_of(root), change->id);
  change->done = account != NULL;
  return account ? set_secret(account, change) : NULL;
}

static struct arc_err *remove_one(json_t *root, struct change *change) {
  if (!json_object_get(accounts_of(root), change->id)) {
    return NULL;
  }
  bool chosen = is_default(root, change->id);
  drop(root, change->id);
  if (chosen) {
    json_object_del(root, "default");
  }
  change->done = true;
  return NULL;
}

static struct arc_err *choose(json_t *root, struct change *change) {
  if (json_object_get(accounts_of(root), change->id)) {
    json_object_set_new(root, "default", json_string(change->id));
    change->done = true;
  }
  return NULL;
}

struct arc_err *arc_store_read(const char *path, json_t **root) {
  int dir = -1;
  *root = NULL;
  struct arc_err *err = arc_privatedir_open(path, false, &dir);
  if (!err) {
    err = load(dir, root);
  }
  if (dir >= 0) {
    close(dir);
  }
  return err;
}

static struct arc_err *open_secret(const json_t *account, const char *id,
                                   const struct arc_secret *key,
                                   struct arc_secret **secret) {
  const char *plain = arc_json_text(account, "secret");
  const char *closed = arc_json_text(account, "sealed");
  if (plain) {
    *secret = arc_secret_new(plain, strlen(plain));
    return *secret ? NULL : arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  *secret = closed && key ? arc_unseal(key_bytes(key), id, closed) : NULL;
  return !closed || *secret
             ? NULL
             : arc_err_reason("cred.locked", "the stored sign-in %s",
                              key ? "was encrypted with another key"
                                  : "is encrypted, and its key is not at hand");
}

struct arc_err *arc_store_secret(const char *dir, const char *id,
                                 const struct arc_secret *key,
                                 struct arc_secret **secret) {
  json_t *root = NULL;
  *secret = NULL;
  struct arc_err *err = arc_store_read(dir, &root);
  if (!err) {
    err = open_secret(json_object_get(accounts_of(root), id), id, key, secret);
  }
  arc_json_wipe(root);
  return err;
}

struct arc_err *arc_store_put(const char *dir, const char *id, json_t *account,
                              const struct arc_secret *secret,
                              const struct arc_secret *key, bool make_default) {
  struct change change = {.id = id,
                          .account = account,
                          .secret = secret,
                          .key = key,
                          .flag = make_default};
  struct arc_err *err = run(dir, put, &change);
  arc_json_wipe(account);
  return err;
}

struct arc_err *arc_store_renew(const char *dir, const char *id,
                                const struct arc_secret *secret,
                                const struct arc_secret *key, bool *done) {
  struct change change = {.id = id, .secret = secret, .key = key};
  struct arc_err *err = run(dir, renew, &change);
  *done = change.done;
  return err;
}

struct arc_err *arc_store_remove(const char *dir, const char *id, bool *done) {
  struct change change = {.id = id};
  struct arc_err *err = run(dir, remove_one, &change);
  *done = change.done;
  return err;
}

struct arc_err *arc_store_choose(const char *dir, const char *id, bool *done) {
  struct change change = {.id = id};
  struct arc_err *err = run(dir, choose, &change);
  *done = change.done;
  return err;
}

int arc_store_lock(const char *path) {
  int dir = -1;
  struct arc_err *err = arc_privatedir_open(path, true, &dir);
  if (err) {
    int error = err->status ? -err->status : -EACCES;
    arc_err_unref(err);
    return error;
  }
  int lock = open_lock(dir);
  int error = lock < 0 ? -errno : 0;
  close(dir);
  while (!error && flock(lock, LOCK_EX)) {
    if (errno != EINTR) {
      error = -errno;
      close(lock);
    }
  }
  return error ? error : lock;
}
