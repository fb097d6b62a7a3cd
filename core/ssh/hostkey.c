/* SPDX-License-Identifier: MIT */
#include "ssh/hostkey.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/room.h"
#include "util/buf.h"
#include "util/err.h"

enum { TYPES_MAX = 32, FINGERPRINT = 64 };

static const char *const ALGORITHMS[] = {
    "ssh-ed25519",         "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521", "rsa-sha2-512",        "rsa-sha2-256"};
enum { N_ALGORITHMS = sizeof ALGORITHMS / sizeof *ALGORITHMS };

static const char *const *files_of(const struct arc_session *s) {
  return (const char *const *)s->known_files;
}

/* The type of the keys that sign by this algorithm. */
static const char *key_type(const char *algorithm) {
  return strncmp(algorithm, "rsa-sha2-", 9) ? algorithm : "ssh-rsa";
}

static bool is_known(const char *algorithm, const char **types, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (!strcmp(types[i], key_type(algorithm))) {
      return true;
    }
  }
  return false;
}

bool arc_hostkey_prefer(struct arc_session *s) {
  const char *types[TYPES_MAX];
  size_t n =
      arc_known_hosts_types(s->known, files_of(s), s->alias, types, TYPES_MAX);
  struct arc_buf list = {0};
  bool fine = true;
  for (int want = 1; want >= 0; want--) {
    for (size_t i = 0; i < N_ALGORITHMS; i++) {
      if (is_known(ALGORITHMS[i], types, n) == (want == 1)) {
        fine &= arc_buf_format(&list, "%s%s", arc_buf_len(&list) ? "," : "",
                               ALGORITHMS[i]);
      }
    }
  }
  fine = fine && arc_buf_append(&list, "", 1) &&
         !ssh_options_set(s->ssh, SSH_OPTIONS_HOSTKEYS, arc_buf_head(&list));
  arc_buf_free(&list);
  if (!fine) {
    arc_session_die(s, arc_err_new(ARC_E_NOMEM, "out of memory"));
  }
  return fine;
}

/* "SHA256:..." of a key in base64, as ssh-keygen -l prints it. */
static void fingerprint(const char *base64, char out[FINGERPRINT]) {
  size_t n = strlen(base64);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned char text[2 * EVP_MAX_MD_SIZE];
  unsigned char *blob = malloc(n + 1);
  unsigned len = 0;
  int size =
      blob ? EVP_DecodeBlock(blob, (const unsigned char *)base64, (int)n) : -1;
  snprintf(out, FINGERPRINT, "SHA256:?");
  for (size_t i = n; size > 0 && i && base64[i - 1] == '='; i--) {
    size--;
  }
  if (size > 0 &&
      EVP_Digest(blob, (size_t)size, digest, &len, EVP_sha256(), NULL)) {
    int used = EVP_EncodeBlock(text, digest, (int)len);
    while (used > 0 && text[used - 1] == '=') {
      used--;
    }
    memcpy(out + 7, text, (size_t)used);
    out[7 + used] = '\0';
  }
  free(blob);
}

/* The server's key as known_hosts writes it; both malloc'ed. */
static bool shown_key(struct arc_session *s, char **type, char **base64) {
  ssh_key key = NULL;
  *type = *base64 = NULL;
  if (ssh_get_server_publickey(s->ssh, &key) != SSH_OK) {
    return false;
  }
  unsigned char blob[48] = {0};
  if (ssh_pki_export_pubkey_base64(key, base64) == SSH_OK &&
      strlen(*base64) >= 64 &&
      EVP_DecodeBlock(blob, (const unsigned char *)*base64, 60) == 45) {
    struct arc_cursor cur = {.at = blob, .left = 45};
    uint32_t n = arc_cursor_u32(&cur);
    const uint8_t *name = arc_cursor_bytes(&cur, n);
    *type = name ? strndup((const char *)name, n) : NULL;
  }
  ssh_key_free(key);
  return *type;
}

static struct arc_err *changed(const struct arc_session *s, const char *type,
                               const char *key,
                               const struct arc_known_place *place) {
  char now[FINGERPRINT];
  char before[FINGERPRINT];
  fingerprint(key, now);
  fingerprint(place->key, before);
  return arc_err_reason(
      "ssh.hostkey-changed",
      "the host key of %s has changed: it shows %s %s, but %s:%u has %s %s; "
      "ssh-keygen -R '%s' -f '%s'",
      s->alias, type, now, place->file, place->line, place->type, before,
      s->alias, place->file);
}

static struct arc_err *revoked(const struct arc_session *s,
                               const struct arc_known_place *place) {
  return arc_err_reason("ssh.hostkey-revoked",
                        "the %s of %s is revoked by %s:%u",
                        place->authority ? "certificate authority" : "host key",
                        s->alias, place->file, place->line);
}

/* What an unknown host is told about the authority that may certify it. */
static void say_authority(const struct arc_known_place *place,
                          struct arc_buf *text) {
  if (place->file) {
    arc_buf_format(text,
                   "; %s:%u names a certificate authority for it, but host "
                   "certificates are not supported: the plain key counts",
                   place->file, place->line);
  }
}

static struct arc_err *unknown(const struct arc_session *s, const char *type,
                               const char *key,
                               const struct arc_known_place *place) {
  char print[FINGERPRINT];
  struct arc_buf text = {0};
  fingerprint(key, print);
  arc_buf_format(&text, "the host key of %s (%s %s) is not in known_hosts",
                 s->alias, type, print);
  say_authority(place, &text);
  struct arc_err *err =
      arc_err_reason("ssh.hostkey-unknown", "%.*s", (int)arc_buf_len(&text),
                     (const char *)arc_buf_head(&text));
  arc_buf_free(&text);
  return err;
}

/* An unknown key was taken. */
static void tell_new(struct arc_session *s, const char *type, const char *key,
                     const struct arc_known_place *place) {
  char print[FINGERPRINT];
  struct arc_buf text = {0};
  fingerprint(key, print);
  arc_buf_format(&text, "the host key of %s is new: %s %s", s->alias, type,
                 print);
  say_authority(place, &text);
  if (arc_buf_append(&text, "", 1)) {
    s->new_key = strdup((const char *)arc_buf_head(&text));
    s->certified = place->file;
  }
  arc_buf_free(&text);
}

static struct arc_err *judge(struct arc_session *s, const char *type,
                             const char *key) {
  struct arc_known_place place = {0};
  enum arc_known known =
      arc_known_hosts_check(s->known, files_of(s), s->alias, type, key, &place);
  if (known == ARC_UNKNOWN && s->policy != ARC_HOSTKEY_YES) {
    tell_new(s, type, key, &place);
    known = arc_known_hosts_add(s->known, files_of(s), s->alias, type, key,
                                s->hash_hosts, &place);
  }
  switch (known) {
  case ARC_KNOWN:
    return NULL;
  case ARC_CHANGED:
    return s->policy == ARC_HOSTKEY_NO ? NULL : changed(s, type, key, &place);
  case ARC_REVOKED:
    return revoked(s, &place);
  default:
    return unknown(s, type, key, &place);
  }
}

struct arc_err *arc_hostkey_check(struct arc_session *s) {
  char *type = NULL;
  char *key = NULL;
  struct arc_err *err =
      shown_key(s, &type, &key)
          ? judge(s, type, key)
          : arc_err_reason("ssh.protocol", "no usable host key: %s",
                           arc_session_text(s));
  free(type);
  ssh_string_free_char(key);
  return err;
}

struct arc_err *arc_hostkey_look(struct arc_session *s) {
  char print[FINGERPRINT];
  char *key = NULL;
  if (!shown_key(s, &s->shown_type, &key)) {
    ssh_string_free_char(key);
    return arc_err_reason("ssh.protocol", "no usable host key: %s",
                          arc_session_text(s));
  }
  s->shown_known = arc_known_hosts_check(s->known, files_of(s), s->alias,
                                         s->shown_type, key, NULL);
  fingerprint(key, print);
  s->shown_print = strdup(print);
  ssh_string_free_char(key);
  return s->shown_print ? NULL : arc_err_new(ARC_E_NOMEM, "out of memory");
}

void arc_session_shown(const struct arc_session *s, struct arc_shown_key *out) {
  *out = (struct arc_shown_key){s->shown_type, s->shown_print, s->shown_known};
}

const char *arc_session_new_key(const struct arc_session *s, bool *certified) {
  *certified = s->certified;
  return s->new_key;
}
