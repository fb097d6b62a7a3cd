/* SPDX-License-Identifier: MIT */
#include "net/keyshare.h"

#include <openssl/obj_mac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HOSTS_MAX = 64 };

static const char part_name[] = "keyshare";

/* The first one is offered unless a host asked for another: a P-384 share
 * costs 3 ms of CPU, X25519 next to nothing. */
static const struct {
  int nid;
  const char *name;
} groups[] = {{NID_X25519, "X25519"},
              {NID_X9_62_prime256v1, "P-256"},
              {NID_secp384r1, "P-384"},
              {NID_secp521r1, "P-521"}};

enum { GROUPS = sizeof groups / sizeof *groups };

struct host {
  struct host *next;
  size_t group; /* index of groups, never 0 */
  int port;
  char name[];
};

struct memory {
  struct arc_part part;
  struct host *hosts; /* the latest first */
};

static void free_memory(struct arc_part *part) {
  struct memory *memory = (struct memory *)part;
  while (memory->hosts) {
    struct host *host = memory->hosts;
    memory->hosts = host->next;
    free(host);
  }
  free(memory);
}

static struct memory *get_memory(struct arc_loop *loop) {
  struct memory *memory = (struct memory *)arc_loop_part(loop, part_name);
  if (!memory && (memory = calloc(1, sizeof *memory))) {
    memory->part.name = part_name;
    memory->part.free = free_memory;
    arc_loop_attach(loop, &memory->part);
  }
  return memory;
}

/* The link to the host's entry, or to the NULL at the end. */
static struct host **find(struct memory *memory, const char *name, int port) {
  struct host **at = &memory->hosts;
  while (*at && ((*at)->port != port || strcasecmp((*at)->name, name) != 0)) {
    at = &(*at)->next;
  }
  return at;
}

static size_t first_group(struct arc_loop *loop, const char *name, int port) {
  struct memory *memory = (struct memory *)arc_loop_part(loop, part_name);
  struct host *host = memory ? *find(memory, name, port) : NULL;
  return host ? host->group : 0;
}

bool arc_keyshare_offer(struct arc_loop *loop, SSL_CTX *ctx, const char *host,
                        int port) {
  size_t first = first_group(loop, host, port);
  char list[64]; // OpenSSL makes a key share for the first of them
  int n = snprintf(list, sizeof list, "%s", groups[first].name);
  for (size_t i = 0; i < GROUPS; i++) {
    if (i != first) {
      n += snprintf(list + n, sizeof list - (size_t)n, ":%s", groups[i].name);
    }
  }
  return SSL_CTX_set1_groups_list(ctx, list) == 1;
}

static void forget_oldest(struct memory *memory) {
  size_t n = 0;
  struct host **at = &memory->hosts;
  while (*at && n < HOSTS_MAX) {
    at = &(*at)->next;
    n++;
  }
  free(*at);
  *at = NULL;
}

static void remember(struct memory *memory, const char *name, int port,
                     size_t group) {
  size_t size = strlen(name) + 1;
  struct host *host = calloc(1, sizeof *host + size);
  if (host) {
    memcpy(host->name, name, size);
    host->port = port;
    host->group = group;
    host->next = memory->hosts;
    memory->hosts = host;
    forget_oldest(memory);
  }
}

void arc_keyshare_note(struct arc_loop *loop, SSL *ssl, const char *host,
                       int port) {
  if (SSL_version(ssl) < TLS1_3_VERSION) {
    return; // no key share in its first flight
  }
  int nid = (int)SSL_get_negotiated_group(ssl);
  size_t group = 0;
  while (group < GROUPS && groups[group].nid != nid) {
    group++;
  }
  if (group == GROUPS || group == first_group(loop, host, port)) {
    return;
  }
  struct memory *memory = get_memory(loop);
  struct host **at = memory ? find(memory, host, port) : NULL;
  if (at && *at) {
    struct host *old = *at;
    *at = old->next;
    free(old);
  }
  if (memory && group) {
    remember(memory, host, port, group);
  }
}
