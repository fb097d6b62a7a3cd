/* SPDX-License-Identifier: MIT */
#include "loop/dns.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/buf.h"
#include "util/err.h"

enum { FRESH_SECONDS = 60, ADDRESSES_MAX = 16 };

static const char part_name[] = "dns";

struct arc_dns_entry {
  uv_getaddrinfo_t question;
  struct arc_dns_entry *next;
  struct dns *dns; /* NULL: the loop is going, free when answered */
  struct arc_dns_wait *waits;
  unsigned undelivered; /* waiters that were told, but not run yet */
  bool asking;
  int64_t expires;
  char *addresses; /* or err */
  struct arc_err *err;
  char host[];
};

struct dns {
  struct arc_part part;
  struct arc_loop *loop;
  struct arc_dns_entry *entries;
};

static void drop_entry(struct arc_dns_entry *entry) {
  free(entry->addresses);
  arc_err_unref(entry->err);
  free(entry);
}

static void free_dns(struct arc_part *part) {
  struct dns *dns = (struct dns *)part;
  while (dns->entries) {
    struct arc_dns_entry *entry = dns->entries;
    dns->entries = entry->next;
    if (entry->asking) {
      entry->dns = NULL; // its callback frees it
      entry->waits = NULL;
      uv_cancel((uv_req_t *)&entry->question);
    } else {
      drop_entry(entry);
    }
  }
  free(dns);
}

static struct dns *get_dns(struct arc_loop *loop) {
  struct dns *dns = (struct dns *)arc_loop_part(loop, part_name);
  if (!dns && (dns = calloc(1, sizeof *dns))) {
    dns->part.name = part_name;
    dns->part.free = free_dns;
    dns->loop = loop;
    arc_loop_attach(loop, &dns->part);
  }
  return dns;
}

static void deliver(void *arg) {
  struct arc_dns_wait *wait = arg;
  struct arc_dns_entry *entry = wait->entry;
  wait->entry = NULL;
  entry->undelivered--;
  wait->fn(wait->arg, entry->addresses, entry->err);
}

static void tell(struct arc_dns_entry *entry, struct arc_dns_wait *wait) {
  entry->undelivered++;
  arc_ready_post(entry->dns->loop, &wait->ready);
}

static bool append_address(struct arc_buf *buf, const struct addrinfo *info) {
  char text[64];
  bool v6 = info->ai_family == AF_INET6;
  int rc =
      v6 ? uv_ip6_name((const struct sockaddr_in6 *)(const void *)info->ai_addr,
                       text, sizeof text)
         : uv_ip4_name((const struct sockaddr_in *)(const void *)info->ai_addr,
                       text, sizeof text);
  return !rc && arc_buf_format(buf, v6 ? "%s[%s]" : "%s%s",
                               arc_buf_len(buf) ? "," : "", text);
}

/* "a,b,[c]", to be freed, or NULL. */
static char *join_addresses(const struct addrinfo *info) {
  struct arc_buf buf = {0};
  int n = 0;
  for (; info && n < ADDRESSES_MAX; info = info->ai_next) {
    bool known = info->ai_family == AF_INET || info->ai_family == AF_INET6;
    n += known && append_address(&buf, info);
  }
  char *text =
      n ? strndup((const char *)arc_buf_head(&buf), arc_buf_len(&buf)) : NULL;
  arc_buf_free(&buf);
  return text;
}

static void set_answer(struct arc_dns_entry *entry, int status,
                       const struct addrinfo *info) {
  entry->addresses = status ? NULL : join_addresses(info);
  if (entry->addresses) {
    entry->expires = arc_loop_now(entry->dns->loop) + 1000 * FRESH_SECONDS;
    return;
  }
  entry->expires = 0; // a failure serves those who wait for it only
  entry->err =
      arc_err_new(ARC_E_DNS, "cannot find the address of %s: %s", entry->host,
                  status ? uv_strerror(status) : "it has none");
  entry->err->retryable = status != UV_EAI_NONAME && status != UV_EAI_NODATA;
}

static void answered(uv_getaddrinfo_t *question, int status,
                     struct addrinfo *info) {
  struct arc_dns_entry *entry = question->data;
  if (!entry->dns) {
    uv_freeaddrinfo(info);
    drop_entry(entry);
    return;
  }
  entry->asking = false;
  set_answer(entry, status, info);
  uv_freeaddrinfo(info);
  while (entry->waits) {
    struct arc_dns_wait *wait = entry->waits;
    entry->waits = wait->next;
    wait->next = NULL;
    tell(entry, wait);
  }
}

/* The usable entry of host; what has expired is dropped on the way. */
static struct arc_dns_entry *find_entry(struct dns *dns, const char *host) {
  int64_t now = arc_loop_now(dns->loop);
  struct arc_dns_entry *found = NULL;
  struct arc_dns_entry **at = &dns->entries;
  while (*at) {
    struct arc_dns_entry *entry = *at;
    bool fresh = entry->asking || now < entry->expires;
    if (fresh && !strcasecmp(entry->host, host)) {
      found = entry;
    }
    if (fresh || entry->undelivered) {
      at = &entry->next;
    } else {
      *at = entry->next;
      drop_entry(entry);
    }
  }
  return found;
}

static struct arc_dns_entry *new_entry(struct dns *dns, const char *host) {
  size_t size = strlen(host) + 1;
  struct arc_dns_entry *entry = calloc(1, sizeof *entry + size);
  if (!entry) {
    return NULL;
  }
  memcpy(entry->host, host, size);
  entry->dns = dns;
  entry->next = dns->entries;
  dns->entries = entry;
  return entry;
}

static bool is_localhost(const char *host) {
  size_t len = strlen(host);
  len -= len && host[len - 1] == '.';
  return len >= 9 && !strncasecmp(host + len - 9, "localhost", 9) &&
         (len == 9 || host[len - 10] == '.');
}

static void start_question(struct arc_loop *loop, struct arc_dns_entry *entry) {
  if (is_localhost(entry->host)) {
    entry->addresses = strdup("127.0.0.1,[::1]");
    entry->expires = INT64_MAX;
    if (!entry->addresses) {
      set_answer(entry, UV_ENOMEM, NULL);
    }
    return;
  }
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_ADDRCONFIG};
  entry->question.data = entry;
  int rc = uv_getaddrinfo(arc_loop_uv(loop), &entry->question, answered,
                          entry->host, NULL, &hints);
  if (rc) {
    set_answer(entry, rc, NULL);
  } else {
    entry->asking = true;
  }
}

bool arc_dns_ask(struct arc_loop *loop, const char *host,
                 struct arc_dns_wait *wait) {
  struct dns *dns = get_dns(loop);
  struct arc_dns_entry *entry = dns ? find_entry(dns, host) : NULL;
  if (dns && !entry && (entry = new_entry(dns, host))) {
    start_question(loop, entry);
  }
  if (!entry) {
    return false;
  }
  arc_ready_init(&wait->ready, deliver, wait);
  wait->entry = entry;
  if (entry->asking) {
    wait->next = entry->waits;
    entry->waits = wait;
  } else {
    tell(entry, wait);
  }
  return true;
}

void arc_dns_leave(struct arc_loop *loop, struct arc_dns_wait *wait) {
  struct arc_dns_entry *entry = wait->entry;
  if (!entry) {
    return;
  }
  if (wait->ready.next) {
    arc_ready_cancel(loop, &wait->ready);
    entry->undelivered--;
  }
  struct arc_dns_wait **at = &entry->waits;
  while (*at && *at != wait) {
    at = &(*at)->next;
  }
  if (*at) {
    *at = wait->next;
  }
  wait->next = NULL;
  wait->entry = NULL;
}
