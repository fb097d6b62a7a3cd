/* SPDX-License-Identifier: MIT */
#include "ssh/known_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"

enum { LOCK_TRIES = 100, FILE_MAX = 64 << 20 };

struct arc_known_file *arc_known_file_new(const char *path) {
  struct arc_known_file *f = calloc(1, sizeof *f);
  if (f && !(f->path = strdup(path))) {
    free(f);
    return NULL;
  }
  return f;
}

static void forget(struct arc_known_file *f) {
  for (size_t i = 0; i < f->n_texts; i++) {
    free(f->texts[i]);
  }
  free(f->texts);
  free(f->entries);
  free(f->buckets);
  free(f->slow);
  f->texts = NULL;
  f->entries = NULL;
  f->buckets = f->slow = NULL;
  f->n_texts = f->count = f->cap = f->n_buckets = f->n_slow = 0;
  f->slow_cap = 0;
  f->lines = 0;
}

void arc_known_file_free(struct arc_known_file *f) {
  forget(f);
  free(f->path);
  free(f);
}

/* FNV-1a; host names are looked up without regard to case. */
static size_t hash(const char *name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; *name; name++) {
    h = (h ^ (uint64_t)tolower((unsigned char)*name)) * 0x100000001b3u;
  }
  return (size_t)h;
}

static bool is_simple(const struct arc_known_entry *e) {
  return !strpbrk(e->hosts, "|,*?!");
}

/* Room for one more of `size` bytes; growing by doubling. */
static void *grow(void *array, size_t count, size_t *cap, size_t size) {
  if (count < *cap) {
    return array;
  }
  size_t more = *cap ? *cap * 2 : 16;
  void *bigger = realloc(array, more * size);
  if (bigger) {
    *cap = more;
  }
  return bigger;
}

static void chain(struct arc_known_file *f, size_t i) {
  size_t *bucket = &f->buckets[hash(f->entries[i].hosts) % f->n_buckets];
  f->entries[i].next_name = *bucket;
  *bucket = i + 1;
}

static bool rehash(struct arc_known_file *f) {
  if (f->n_buckets && f->count < f->n_buckets) {
    return true;
  }
  size_t n = f->n_buckets ? f->n_buckets * 2 : 64;
  size_t *buckets = calloc(n, sizeof *buckets);
  if (!buckets) {
    return false;
  }
  free(f->buckets);
  f->buckets = buckets;
  f->n_buckets = n;
  for (size_t i = 0; i < f->count; i++) {
    if (is_simple(&f->entries[i])) {
      chain(f, i);
    }
  }
  return true;
}

static void add_entry(struct arc_known_file *f, struct arc_known_entry entry) {
  void *entries = grow(f->entries, f->count, &f->cap, sizeof *f->entries);
  if (!entries) {
    return;
  }
  f->entries = entries;
  if (!rehash(f)) {
    return;
  }
  if (is_simple(&entry)) {
    f->entries[f->count] = entry;
    chain(f, f->count++);
    return;
  }
  void *slow = grow(f->slow, f->n_slow, &f->slow_cap, sizeof *f->slow);
  if (slow) {
    f->slow = slow;
    f->slow[f->n_slow++] = f->count;
    f->entries[f->count++] = entry;
  }
}

/* The next word of the line; cuts it off in place. */
static char *word(char **at) {
  char *start = *at + strspn(*at, " \t\r");
  char *end = start + strcspn(start, " \t\r");
  *at = *end ? end + 1 : end;
  *end = '\0';
  return start;
}

static void parse_line(struct arc_known_file *f, char *line) {
  struct arc_known_entry e = {.line = f->lines};
  char *first = word(&line);
  if (*first == '@') {
    e.revoked = !strcmp(first, "@revoked");
    e.authority = !strcmp(first, "@cert-authority");
    if (!e.revoked && !e.authority) {
      return;
    }
    first = word(&line);
  }
  e.hosts = first;
  e.type = word(&line);
  e.key = word(&line);
  if (*e.hosts && *e.hosts != '#' && *e.type && *e.key) {
    add_entry(f, e);
  }
}

/* Takes text (NUL-terminated, malloc) over. */
static void parse(struct arc_known_file *f, char *text) {
  char **texts = realloc(f->texts, (f->n_texts + 1) * sizeof *texts);
  if (!texts) {
    free(text);
    return;
  }
  f->texts = texts;
  f->texts[f->n_texts++] = text;
  while (*text) {
    char *end = text + strcspn(text, "\n");
    char *next = *end ? end + 1 : end;
    *end = '\0';
    f->lines++;
    parse_line(f, text);
    text = next;
  }
}

static char *read_all(int fd, size_t size) {
  char *text = malloc(size + 1);
  size_t have = 0;
  while (text && have < size) {
    ssize_t n = read(fd, text + have, size - have);
    if (n <= 0) {
      break;
    }
    have += (size_t)n;
  }
  if (text) {
    for (size_t i = 0; i < have; i++) {
      if (!text[i]) {
        text[i] = ' ';
      }
    }
    text[have] = '\0';
  }
  return text;
}

static void remember(struct arc_known_file *f, const struct stat *st) {
  f->modified = st->st_mtim;
  f->size = st->st_size;
  f->inode = st->st_ino;
}

void arc_known_file_refresh(struct arc_known_file *f) {
  struct stat st;
  if (stat(f->path, &st)) {
    return; // gone or not yet there: what this run has learnt stays
  }
  if (st.st_size == f->size && st.st_ino == f->inode &&
      st.st_mtim.tv_sec == f->modified.tv_sec &&
      st.st_mtim.tv_nsec == f->modified.tv_nsec) {
    return;
  }
  int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return;
  }
  if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size < FILE_MAX) {
    char *text = read_all(fd, (size_t)st.st_size);
    if (text) {
      forget(f);
      parse(f, text);
      remember(f, &st);
    }
  }
  close(fd);
}

/* *at: first the place in the name's chain, then count + 1 + the place among
 * the slow ones. */
const struct arc_known_entry *
arc_known_file_next(const struct arc_known_file *f, const char *host,
                    size_t *at) {
  if (!f->count) {
    return NULL;
  }
  if (*at <= f->count) {
    size_t i = *at ? f->entries[*at - 1].next_name
                   : f->buckets[hash(host) % f->n_buckets];
    for (; i; i = f->entries[i - 1].next_name) {
      if (!strcasecmp(f->entries[i - 1].hosts, host)) {
        *at = i;
        return &f->entries[i - 1];
      }
    }
    *at = f->count + 1;
  }
  for (size_t i = *at - f->count - 1; i < f->n_slow; i++) {
    const struct arc_known_entry *e = &f->entries[f->slow[i]];
    if (arc_known_match(e->hosts, host)) {
      *at = f->count + 2 + i;
      return e;
    }
  }
  *at = f->count + 1 + f->n_slow;
  return NULL;
}

static void make_directory(const char *path) {
  char *dir = strdup(path);
  char *slash = dir ? strrchr(dir, '/') : NULL;
  if (slash && slash != dir) {
    *slash = '\0';
    mkdir(dir, 0700);
  }
  free(dir);
}

int arc_known_file_lock(const struct arc_known_file *f) {
  const int flags =
      O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  int fd = open(f->path, flags, 0600);
  if (fd < 0 && errno == ENOENT) {
    make_directory(f->path);
    fd = open(f->path, flags, 0600);
  }
  if (fd < 0) {
    return -errno;
  }
  const struct timespec nap = {0, 1000000};
  for (int i = 0; flock(fd, LOCK_EX | LOCK_NB); i++) {
    if (i == LOCK_TRIES || (errno != EWOULDBLOCK && errno != EINTR)) {
      close(fd);
      return -EWOULDBLOCK;
    }
    nanosleep(&nap, NULL);
  }
  return fd;
}

static bool ends_open(int fd, const struct stat *st) {
  char last = '\n';
  return st->st_size > 0 && pread(fd, &last, 1, st->st_size - 1) == 1 &&
         last != '\n';
}

static void write_line(struct arc_known_file *f, int fd, const char *line,
                       size_t n) {
  struct stat st;
  struct arc_buf buf = {0};
  if (fstat(fd, &st)) {
    return;
  }
  if (ends_open(fd, &st)) {
    arc_buf_text(&buf, "\n");
  }
  if (arc_buf_append(&buf, line, n) &&
      write(fd, arc_buf_head(&buf), arc_buf_len(&buf)) ==
          (ssize_t)arc_buf_len(&buf) &&
      !fstat(fd, &st)) {
    remember(f, &st);
  }
  arc_buf_free(&buf);
}

void arc_known_file_append(struct arc_known_file *f, int fd, const char *host,
                           const char *type, const char *key) {
  size_t n = strlen(host) + strlen(type) + strlen(key) + 4;
  char *line = malloc(n);
  if (!line) {
    return;
  }
  snprintf(line, n, "%s %s %s\n", host, type, key);
  if (fd >= 0) {
    write_line(f, fd, line, n - 1);
  }
  parse(f, line);
}

bool arc_known_file_hashes(const struct arc_known_file *f) {
  for (size_t i = 0; i < f->n_slow; i++) {
    if (*f->entries[f->slow[i]].hosts == '|') {
      return true;
    }
  }
  return false;
}
