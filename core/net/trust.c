/* SPDX-License-Identifier: MIT */
#include "net/trust.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/err.h"

static const char part_name[] = "trust";

struct extra {
  struct extra *next;
  struct timespec mtime;
  ino_t inode;
  X509_STORE *store;
  char path[];
};

struct trust {
  struct arc_part part;
  X509_STORE *system;
  struct extra *extras;
};

static void drop_extra(struct extra *extra) {
  X509_STORE_free(extra->store);
  free(extra);
}

static void free_trust(struct arc_part *part) {
  struct trust *trust = (struct trust *)part;
  while (trust->extras) {
    struct extra *extra = trust->extras;
    trust->extras = extra->next;
    drop_extra(extra);
  }
  X509_STORE_free(trust->system);
  free(trust);
}

static struct trust *get_trust(struct arc_loop *loop) {
  struct trust *trust = (struct trust *)arc_loop_part(loop, part_name);
  if (!trust && (trust = calloc(1, sizeof *trust))) {
    trust->part.name = part_name;
    trust->part.free = free_trust;
    arc_loop_attach(loop, &trust->part);
  }
  return trust;
}

static bool is_hash_name(const char *name) {
  size_t n = 0;
  while (isxdigit((unsigned char)name[n])) {
    n++;
  }
  return n == 8 && name[8] == '.' && isdigit((unsigned char)name[9]);
}

/* Does the directory hold names by subject hash, as c_rehash makes them? */
static bool is_hashed(const char *path) {
  DIR *dir = opendir(path);
  bool found = false;
  struct dirent *entry;
  while (dir && !found && (entry = readdir(dir))) {
    found = is_hash_name(entry->d_name);
  }
  if (dir) {
    closedir(dir);
  }
  return found;
}

/* The user's own choice; false when there is none. *failed: the variable whose
 * value cannot be used, or NULL. */
static bool load_environment(X509_STORE *store, const char **failed) {
  const char *file = secure_getenv("SSL_CERT_FILE");
  const char *dir = secure_getenv("SSL_CERT_DIR");
  bool has_file = file && *file;
  bool has_dir = dir && *dir;
  if (has_file && !X509_STORE_load_file(store, file)) {
    *failed = "SSL_CERT_FILE";
  } else if (has_dir && !X509_STORE_load_path(store, dir)) {
    *failed = "SSL_CERT_DIR";
  }
  return has_file || has_dir;
}

/* A hashed directory costs 0.02 ms, a bundle 47 ms. */
static bool load_system(X509_STORE *store, const char **failed) {
  static const char *const dirs[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};
  static const char *const bundles[] = {
      "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
      "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
  if (load_environment(store, failed)) {
    return !*failed;
  }
  for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
    if (is_hashed(dirs[i])) {
      return X509_STORE_load_path(store, dirs[i]);
    }
  }
  for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++) {
    struct stat st;
    if (!stat(bundles[i], &st)) {
      return X509_STORE_load_file(store, bundles[i]);
    }
  }
  return X509_STORE_set_default_paths(store);
}

/* A store with the system's certificates and those of ca, or NULL. */
static X509_STORE *make_store(const char *ca, struct arc_err **err) {
  X509_STORE *store = X509_STORE_new();
  const char *failed = NULL;
  if (store && load_system(store, &failed) &&
      (!ca || X509_STORE_load_file(store, ca))) {
    return store;
  }
  failed = failed ? failed : ca;
  unsigned long code = ERR_peek_last_error();
  const char *why = code ? ERR_reason_error_string(code) : NULL;
  *err = arc_err_new(ARC_E_CONFIG, "cannot read certificates%s%s: %s",
                     failed ? " of " : "", failed ? failed : "",
                     why ? why : "no memory");
  ERR_clear_error();
  X509_STORE_free(store);
  return NULL;
}

static bool same_file(const struct extra *extra, const struct stat *st) {
  return extra->inode == st->st_ino &&
         extra->mtime.tv_sec == st->st_mtim.tv_sec &&
         extra->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

/* The cached store of ca; one that has changed on disk is dropped. */
static struct extra *find_extra(struct trust *trust, const char *ca,
                                const struct stat *st) {
  for (struct extra **at = &trust->extras; *at; at = &(*at)->next) {
    struct extra *extra = *at;
    if (!strcmp(extra->path, ca)) {
      if (same_file(extra, st)) {
        return extra;
      }
      *at = extra->next;
      drop_extra(extra);
      return NULL;
    }
  }
  return NULL;
}

static X509_STORE *extra_store(struct trust *trust, const char *ca,
                               struct arc_err **err) {
  struct stat st;
  if (stat(ca, &st)) {
    *err = arc_err_errno(errno, "cannot read certificates of %s", ca);
    (*err)->code = ARC_E_CONFIG;
    return NULL;
  }
  struct extra *extra = find_extra(trust, ca, &st);
  if (extra) {
    return extra->store;
  }
  extra = calloc(1, sizeof *extra + strlen(ca) + 1);
  X509_STORE *store = extra ? make_store(ca, err) : NULL;
  if (!store) {
    *err = extra ? *err : arc_err_new(ARC_E_NOMEM, "out of memory");
    free(extra);
    return NULL;
  }
  memcpy(extra->path, ca, strlen(ca) + 1);
  extra->mtime = st.st_mtim;
  extra->inode = st.st_ino;
  extra->store = store;
  extra->next = trust->extras;
  trust->extras = extra;
  return store;
}

X509_STORE *arc_trust_store(struct arc_loop *loop, const char *ca,
                            struct arc_err **err) {
  struct trust *trust = get_trust(loop);
  if (!trust) {
    *err = arc_err_new(ARC_E_NOMEM, "out of memory");
    return NULL;
  }
  X509_STORE *store;
  if (ca) {
    store = extra_store(trust, ca, err);
  } else {
    if (!trust->system) {
      trust->system = make_store(NULL, err);
    }
    store = trust->system;
  }
  if (store) {
    X509_STORE_up_ref(store);
  }
  return store;
}
