/* SPDX-License-Identifier: MIT */
#include "azure/keyring.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "azure/store.h"
#include "crypto/base64.h"
#include "crypto/seal.h"
#include "util/err.h"
#include "util/lazy.h"

ARC_LAZY("libsecret-1.so.0")

/* ---- libsecret's interface, as far as it is used ---------------------------
 */

struct schema_attribute {
  const char *name;
  int type; /* 0: a string */
};

struct schema {
  const char *name;
  int flags;
  struct schema_attribute attributes[32];
  int reserved;
  void *reserved_pointers[7];
};

struct g_error {
  unsigned domain;
  int code;
  char *message;
};

typedef int store_fn(const struct schema *schema, const char *collection,
                     const char *label, const char *password, void *cancel,
                     struct g_error **error, ...);
typedef char *lookup_fn(const struct schema *schema, void *cancel,
                        struct g_error **error, ...);
typedef int clear_fn(const struct schema *schema, void *cancel,
                     struct g_error **error, ...);

struct library {
  store_fn *store;
  lookup_fn *lookup;
  clear_fn *clear;
  void (*free_password)(char *password);
  void (*free_error)(struct g_error *error);
  void *(*new_cancel)(void);
  void (*cancel)(void *cancel);
  int (*is_cancelled)(void *cancel);
  void (*unref)(void *object);
};

static const struct schema schema = {
    .name = "arclua.SignIns", .attributes = {{"application", 0}, {"store", 0}}};
static const char application[] = "arclua";
static const char label[] = "Key of arclua's stored sign-ins";

static bool load_library(struct library *lib) {
  *(void **)&lib->store = find("secret_password_store_sync");
  *(void **)&lib->lookup = find("secret_password_lookup_sync");
  *(void **)&lib->clear = find("secret_password_clear_sync");
  *(void **)&lib->free_password = find("secret_password_free");
  *(void **)&lib->free_error = find("g_error_free");
  *(void **)&lib->new_cancel = find("g_cancellable_new");
  *(void **)&lib->cancel = find("g_cancellable_cancel");
  *(void **)&lib->is_cancelled = find("g_cancellable_is_cancelled");
  *(void **)&lib->unref = find("g_object_unref");
  return lib->store && lib->lookup && lib->clear && lib->free_password &&
         lib->free_error && lib->new_cancel && lib->cancel &&
         lib->is_cancelled && lib->unref;
}

/* Without a session bus there is no service, and nothing is to be loaded. */
static bool has_bus(void) {
  const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
  const char *dir = getenv("XDG_RUNTIME_DIR");
  char path[4096];
  if (address && *address) {
    return true;
  }
  int n =
      dir && *dir ? snprintf(path, sizeof path, "%s/bus", dir) : 0; // NOLINT
  return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

/* ---- on the thread ---------------------------------------------------------
 */

enum wish { LOOK, CREATE, FORGET };

/* One call; lives until its thread is through, whatever becomes of the op. */
struct job {
  uv_work_t work;
  struct keyring_op *op; /* NULL: nobody waits any more */
  struct library lib;
  void *cancel;
  enum wish wish;
  char *dir;
  struct arc_secret *key; /* found or made */
  char *failure;          /* or NULL */
  bool again;             /* it failed by another's cancel */
};

/* All calls share GLib's one connection to the bus: while it is being made, a
 * cancel of one call ends those beside it, too. */
static void fail(struct job *job, struct g_error *error) {
  enum { G_IO_ERROR_CANCELLED = 19 };
  job->again = error && error->code == G_IO_ERROR_CANCELLED &&
               !job->lib.is_cancelled(job->cancel);
  job->failure = strdup(error && error->message ? error->message : "it failed");
  if (error) {
    job->lib.free_error(error);
  }
}

static struct arc_secret *decode(const char *text) {
  struct arc_buf bytes = {.secret = true};
  struct arc_secret *key = NULL;
  if (arc_base64_decode(&bytes, text, strlen(text)) &&
      arc_buf_len(&bytes) == ARC_SEAL_KEY_SIZE) {
    key = arc_secret_new(arc_buf_head(&bytes), ARC_SEAL_KEY_SIZE);
  }
  arc_buf_free(&bytes);
  return key;
}

static void look(struct job *job) {
  struct g_error *error = NULL;
  char *text = job->lib.lookup(&schema, job->cancel, &error, "application",
                               application, "store", job->dir, NULL);
  if (error) {
    fail(job, error);
  } else if (text) {
    job->key = decode(text);
  }
  job->lib.free_password(text);
}

static void make_key(struct job *job) {
  uint8_t key[ARC_SEAL_KEY_SIZE];
  struct arc_buf text = {.secret = true};
  struct g_error *error = NULL;
  if (RAND_bytes(key, sizeof key) == 1 &&
      arc_base64_encode(&text, key, sizeof key, ARC_BASE64_PADDED) &&
      arc_buf_append(&text, "", 1) &&
      job->lib.store(&schema, NULL, label, (const char *)arc_buf_head(&text),
                     job->cancel, &error, "application", application, "store",
                     job->dir, NULL)) {
    job->key = arc_secret_new(key, sizeof key);
  } else {
    fail(job, error);
  }
  OPENSSL_cleanse(key, sizeof key);
  arc_buf_free(&text);
}

/* Two processes that begin at once must not make two keys. */
static void look_or_make(struct job *job) {
  int lock = arc_store_lock(job->dir);
  if (lock < 0) {
    job->failure = strdup(strerror(-lock));
    return;
  }
  look(job);
  if (!job->key && !job->failure) {
    make_key(job);
  }
  close(lock);
}

static void forget(struct job *job) {
  struct g_error *error = NULL;
  job->lib.clear(&schema, job->cancel, &error, "application", application,
                 "store", job->dir, NULL);
  if (error) {
    fail(job, error);
  }
}

/* GLib sets SIGPIPE to be ignored when it first makes a socket: that is not
 * ours to change. */
static void run(uv_work_t *work) {
  enum { TRIES = 50, PAUSE = 20000 /* us */ };
  static void (*const by_wish[])(struct job *) = {look, look_or_make, forget};
  struct job *job = work->data;
  struct sigaction before;
  sigaction(SIGPIPE, NULL, &before);
  by_wish[job->wish](job);
  for (int tries = 0; job->again && tries < TRIES; tries++) {
    usleep(PAUSE);
    free(job->failure);
    job->failure = NULL;
    job->again = false;
    by_wish[job->wish](job);
  }
  sigaction(SIGPIPE, &before, NULL);
}

/* ---- on the loop -----------------------------------------------------------
 */

struct keyring_op {
  struct arc_op op;
  struct job *job; /* NULL: through */
  struct arc_secret *key;
};

static void free_job(struct job *job) {
  if (job->cancel) {
    job->lib.unref(job->cancel);
  }
  arc_secret_unref(job->key);
  free(job->failure);
  free(job->dir);
  free(job);
}

static void through(uv_work_t *work, int status) {
  struct job *job = work->data;
  struct keyring_op *op = job->op;
  (void)status;
  if (op) {
    op->job = NULL;
    op->key = arc_secret_ref(job->key);
    arc_op_finish(&op->op, job->failure
                               ? arc_err_new(ARC_E_UNAVAILABLE,
                                             "the desktop's secret service: %s",
                                             job->failure)
                               : NULL);
  }
  free_job(job);
}

static void detach(struct arc_op *base) {
  struct keyring_op *op = (struct keyring_op *)base;
  if (op->job) {
    op->job->op = NULL;
    op->job->lib.cancel(op->job->cancel);
    op->job = NULL;
  }
}

static void destroy(struct arc_op *base) {
  detach(base);
  arc_secret_unref(((struct keyring_op *)base)->key);
  free(base);
}

static struct job *new_job(const char *dir, enum wish wish) {
  struct job *job = calloc(1, sizeof *job);
  if (!job) {
    return NULL;
  }
  job->wish = wish;
  job->work.data = job;
  job->dir = strdup(dir);
  job->cancel = load_library(&job->lib) ? job->lib.new_cancel() : NULL;
  return job;
}

static struct arc_err *begin(struct keyring_op *op, const char *dir,
                             enum wish wish) {
  if (!has_bus()) {
    return arc_err_new(ARC_E_NOTFOUND, "there is no desktop session");
  }
  struct job *job = new_job(dir, wish);
  struct arc_err *err =
      !job || !job->dir ? arc_err_new(ARC_E_NOMEM, "out of memory")
      : !job->cancel ? arc_err_new(ARC_E_NOTFOUND, "libsecret is not installed")
                     : NULL;
  if (!err &&
      uv_queue_work(arc_loop_uv(op->op.loop), &job->work, run, through)) {
    err = arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  if (err && job) {
    free_job(job);
  } else if (job) {
    job->op = op;
    op->job = job;
  }
  return err;
}

static struct arc_op *start(struct arc_loop *loop, const char *dir,
                            enum wish wish, int64_t deadline) {
  static const struct arc_op_class keyring_class = {
      .name = "keyring", .detach = detach, .destroy = destroy};
  struct keyring_op *op =
      arc_op_new(loop, &keyring_class, sizeof *op, deadline);
  if (!op) {
    return NULL;
  }
  struct arc_err *err = begin(op, dir, wish);
  if (err) {
    arc_op_finish(&op->op, arc_err_at(err, keyring_class.name, NULL));
  }
  return &op->op;
}

struct arc_op *arc_keyring_key(struct arc_loop *loop, const char *dir,
                               bool create, int64_t deadline) {
  return start(loop, dir, create ? CREATE : LOOK, deadline);
}

struct arc_secret *arc_keyring_key_of(struct arc_op *op) {
  return ((struct keyring_op *)op)->key;
}

struct arc_op *arc_keyring_forget(struct arc_loop *loop, const char *dir,
                                  int64_t deadline) {
  return start(loop, dir, FORGET, deadline);
}
