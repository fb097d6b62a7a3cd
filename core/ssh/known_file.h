/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_KNOWN_FILE_H
#define ARC_SSH_KNOWN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* A line of known_hosts: which hosts, which key. */
struct arc_known_entry {
  const char *hosts; /* patterns with commas, or "|1|salt|hash" */
  const char *type;
  const char *key; /* base64 */
  unsigned line;
  bool revoked;
  bool authority;   /* of certificates: the key is no host's */
  size_t next_name; /* the next entry in its chain of names + 1; 0 = last */
};

/* One known_hosts file in memory. Lines that name exactly one host are found
 * by a hash of it, the others (lists, patterns, hashed names) one by one. */
struct arc_known_file {
  struct arc_known_file *next;
  char *path;
  struct timespec modified;
  off_t size;
  ino_t inode;
  char **texts; /* what the entries point into */
  size_t n_texts;
  struct arc_known_entry *entries;
  size_t count, cap;
  size_t *buckets; /* entry + 1 by hash of its name */
  size_t n_buckets;
  size_t *slow; /* entries to be looked at one by one */
  size_t n_slow, slow_cap;
  unsigned lines;
};

/* Empty; NULL without memory. */
struct arc_known_file *arc_known_file_new(const char *path);
void arc_known_file_free(struct arc_known_file *f);
/* Reads the file again when it has changed; an absent file is an empty one. */
void arc_known_file_refresh(struct arc_known_file *f);
/* The next entry for host, or NULL; *at starts as 0. */
const struct arc_known_entry *
arc_known_file_next(const struct arc_known_file *f, const char *host,
                    size_t *at);
/* Opens the file for appending (makes it, and its directory, private) and
 * locks it; a negative errno when that cannot be. close() unlocks. */
int arc_known_file_lock(const struct arc_known_file *f);
/* Adds a line to the index and, fd permitting, to the file. */
void arc_known_file_append(struct arc_known_file *f, int fd, const char *host,
                           const char *type, const char *key);
/* The file has hashed names. */
bool arc_known_file_hashes(const struct arc_known_file *f);

/* The name as "|1|salt|hash", with a new salt; false: no randomness. */
enum { ARC_KNOWN_HASHED = 64 };
bool arc_known_hash(const char *host, char hashed[ARC_KNOWN_HASHED]);
/* Does one field of names ("a,b*,!c", "|1|salt|hash") mean this host? */
bool arc_known_match(const char *hosts, const char *host);

#endif
