/* SPDX-License-Identifier: MIT */
#include "ssh/known_hosts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ssh/known_file.h"

struct arc_known_hosts {
  struct arc_part part;
  struct arc_known_file *files;
};

static void free_known(struct arc_part *part) {
  struct arc_known_hosts *known = (struct arc_known_hosts *)part;
  while (known->files) {
    struct arc_known_file *f = known->files;
    known->files = f->next;
    arc_known_file_free(f);
  }
  free(known);
}

struct arc_known_hosts *arc_known_hosts_of(struct arc_loop *loop) {
  static const char name[] = "ssh.known_hosts";
  struct arc_known_hosts *known =
      (struct arc_known_hosts *)arc_loop_part(loop, name);
  if (!known && (known = calloc(1, sizeof *known))) {
    known->part.name = name;
    known->part.free = free_known;
    arc_loop_attach(loop, &known->part);
  }
  return known;
}

/* The index of the file at path as it was last read, or NULL. */
static struct arc_known_file *find_file(const struct arc_known_hosts *known,
                                        const char *path) {
  struct arc_known_file *f = known->files;
  while (f && strcmp(f->path, path) != 0) {
    f = f->next;
  }
  return f;
}

/* The index of the file at path, fresh; NULL without memory. */
static struct arc_known_file *file_of(struct arc_known_hosts *known,
                                      const char *path) {
  struct arc_known_file *f = find_file(known, path);
  if (!f && (f = arc_known_file_new(path))) {
    f->next = known->files;
    known->files = f;
  }
  if (f) {
    arc_known_file_refresh(f);
  }
  return f;
}

static void note(struct arc_known_place *place,
                 const struct arc_known_file *file,
                 const struct arc_known_entry *entry) {
  if (place) {
    *place = (struct arc_known_place){.file = file->path,
                                      .line = entry->line,
                                      .type = entry->type,
                                      .key = entry->key};
  }
}

static bool holds(const struct arc_known_entry *e, const char *type,
                  const char *key) {
  return !strcmp(e->type, type) && !strcmp(e->key, key);
}

/* The first authority for the host, noted: ARC_UNKNOWN; or ARC_REVOKED, and
 * the line that revokes it. */
static enum arc_known check_authority(const struct arc_known_hosts *known,
                                      const char *const *files,
                                      const char *alias,
                                      const struct arc_known_file *in,
                                      const struct arc_known_entry *authority,
                                      struct arc_known_place *place) {
  enum arc_known result = ARC_UNKNOWN;
  note(place, in, authority);
  for (; *files && result == ARC_UNKNOWN; files++) {
    const struct arc_known_file *f = find_file(known, *files);
    size_t at = 0;
    const struct arc_known_entry *e;
    while (f && (e = arc_known_file_next(f, alias, &at))) {
      if (e->revoked && holds(e, authority->type, authority->key)) {
        note(place, f, e);
        result = ARC_REVOKED;
        break;
      }
    }
  }
  if (place) {
    place->authority = true;
  }
  return result;
}

/* What the lines for a host say of a key. */
struct verdict {
  enum arc_known known;
  bool same_type; /* the noted line is of the key's type */
  const struct arc_known_entry *authority; /* the first, and where it stands */
  const struct arc_known_file *in;
};

static void weigh(struct verdict *v, const struct arc_known_file *f,
                  const struct arc_known_entry *e, const char *type,
                  const char *key, struct arc_known_place *place) {
  bool equal = holds(e, type, key);
  if (e->authority && !e->revoked) {
    v->in = v->authority ? v->in : f;
    v->authority = v->authority ? v->authority : e;
  } else if (e->revoked && !equal) {
    return;
  } else if (e->revoked) {
    note(place, f, e);
    v->known = ARC_REVOKED;
  } else if (equal) {
    v->known = ARC_KNOWN;
  } else if (v->known != ARC_KNOWN) {
    bool same = !strcmp(e->type, type);
    if (v->known == ARC_UNKNOWN || (!v->same_type && same)) {
      note(place, f, e);
      v->same_type = same;
    }
    v->known = ARC_CHANGED;
  }
}

enum arc_known arc_known_hosts_check(struct arc_known_hosts *known,
                                     const char *const *files,
                                     const char *alias, const char *type,
                                     const char *key,
                                     struct arc_known_place *place) {
  struct verdict v = {.known = ARC_UNKNOWN};
  for (const char *const *file = files; *file; file++) {
    struct arc_known_file *f = file_of(known, *file);
    size_t at = 0;
    const struct arc_known_entry *e;
    while (f && (e = arc_known_file_next(f, alias, &at))) {
      weigh(&v, f, e, type, key, place);
      if (v.known == ARC_REVOKED) {
        return ARC_REVOKED;
      }
    }
  }
  return v.known == ARC_UNKNOWN && v.authority
             ? check_authority(known, files, alias, v.in, v.authority, place)
             : v.known;
}

size_t arc_known_hosts_types(struct arc_known_hosts *known,
                             const char *const *files, const char *alias,
                             const char **types, size_t max) {
  size_t count = 0;
  for (; *files; files++) {
    struct arc_known_file *f = file_of(known, *files);
    size_t at = 0;
    const struct arc_known_entry *e;
    while (count < max && f && (e = arc_known_file_next(f, alias, &at))) {
      if (!e->revoked && !e->authority) {
        types[count++] = e->type;
      }
    }
  }
  return count;
}

enum arc_known arc_known_hosts_add(struct arc_known_hosts *known,
                                   const char *const *files, const char *alias,
                                   const char *type, const char *key,
                                   enum arc_hash_hosts hash,
                                   struct arc_known_place *place) {
  char hashed[ARC_KNOWN_HASHED];
  struct arc_known_file *f = *files ? file_of(known, *files) : NULL;
  if (!f) {
    return ARC_KNOWN;
  }
  int fd = arc_known_file_lock(f);
  enum arc_known now =
      arc_known_hosts_check(known, files, alias, type, key, place);
  if (now == ARC_UNKNOWN) {
    bool hide = hash == ARC_HASH_ALWAYS ||
                (hash == ARC_HASH_AS_FILE && arc_known_file_hashes(f));
    hide = hide && arc_known_hash(alias, hashed);
    arc_known_file_append(f, fd, hide ? hashed : alias, type, key);
    now = ARC_KNOWN;
  }
  if (fd >= 0) {
    close(fd);
  }
  return now;
}
