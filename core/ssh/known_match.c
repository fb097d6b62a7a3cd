/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "ssh/known_file.h"

enum { SHA1_LEN = 20, BASE64_LEN = 28 };

/* A SHA-1 sized value in base64: 28 characters. */
static bool decode(const char *text, size_t len, unsigned char out[21]) {
  return len == BASE64_LEN && EVP_DecodeBlock(out, (const unsigned char *)text,
                                              BASE64_LEN) == SHA1_LEN + 1;
}

/* "|1|salt|hash": the hash is HMAC-SHA1(salt, host). */
static bool match_hashed(const char *hosts, const char *host) {
  unsigned char salt[SHA1_LEN + 1], want[SHA1_LEN + 1], got[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  const char *second = strncmp(hosts, "|1|", 3) ? NULL : strchr(hosts + 3, '|');
  if (!second || !decode(hosts + 3, (size_t)(second - hosts - 3), salt) ||
      !decode(second + 1, strlen(second + 1), want)) {
    return false;
  }
  return HMAC(EVP_sha1(), salt, SHA1_LEN, (const unsigned char *)host,
              strlen(host), got, &len) &&
         len == SHA1_LEN && !memcmp(got, want, SHA1_LEN);
}

bool arc_known_hash(const char *host, char hashed[ARC_KNOWN_HASHED]) {
  unsigned char salt[SHA1_LEN], sum[EVP_MAX_MD_SIZE];
  unsigned char salt64[BASE64_LEN + 1], sum64[BASE64_LEN + 1];
  unsigned len = 0;
  if (RAND_bytes(salt, SHA1_LEN) != 1 ||
      !HMAC(EVP_sha1(), salt, SHA1_LEN, (const unsigned char *)host,
            strlen(host), sum, &len)) {
    return false;
  }
  EVP_EncodeBlock(salt64, salt, SHA1_LEN);
  EVP_EncodeBlock(sum64, sum, SHA1_LEN);
  snprintf(hashed, ARC_KNOWN_HASHED, "|1|%s|%s", (char *)salt64, (char *)sum64);
  return true;
}

static bool same_letter(char a, char b) {
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* '*' and '?', without recursion: a pattern cannot make it slow. */
static bool match_glob(const char *p, size_t n, const char *host) {
  const char *end = p + n;
  const char *star = NULL;
  const char *retry = NULL;
  while (*host) {
    if (p < end && *p == '*') {
      star = p++;
      retry = host;
    } else if (p < end && (*p == '?' || same_letter(*p, *host))) {
      p++;
      host++;
    } else if (star) {
      p = star + 1;
      host = ++retry;
    } else {
      return false;
    }
  }
  while (p < end && *p == '*') {
    p++;
  }
  return p == end;
}

bool arc_known_match(const char *hosts, const char *host) {
  if (*hosts == '|') {
    return match_hashed(hosts, host);
  }
  bool found = false;
  while (*hosts) {
    size_t n = strcspn(hosts, ",");
    bool negated = *hosts == '!';
    if (match_glob(hosts + negated, n - negated, host)) {
      if (negated) {
        return false;
      }
      found = true;
    }
    hosts += n + (hosts[n] == ',');
  }
  return found;
}
