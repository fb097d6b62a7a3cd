/* SPDX-License-Identifier: MIT */
#include "ssh/pubkey.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/sshcert.h"
#include "util/buf.h"

enum { FILE_MAX = 64 * 1024, BLOB_MAX = 32 * 1024 };

static const char CERT[] = "-cert-v01@openssh.com";

static char *encode(const uint8_t *blob, size_t len) {
  char *text = malloc((len + 2) / 3 * 4 + 1);
  if (text) {
    EVP_EncodeBlock((unsigned char *)text, blob, (int)len);
  }
  return text;
}

static bool take_type(struct arc_cursor *cur, char type[64]) {
  uint32_t n;
  const uint8_t *name = arc_cursor_string(cur, &n);
  if (!name || !n || n >= 64 || memchr(name, 0, n)) {
    return false;
  }
  memcpy(type, name, n);
  type[n] = '\0';
  return true;
}

/* The key inside a certificate, in base64; NULL when it is broken. */
static char *plain_of(struct arc_cursor cur, const char *type, int fields) {
  struct arc_buf buf = {0};
  uint32_t n;
  bool fine = arc_buf_string(&buf, type, strlen(type));
  arc_cursor_string(&cur, &n); // the nonce
  while (fine && fields--) {
    const uint8_t *field = arc_cursor_string(&cur, &n);
    fine = field && arc_buf_string(&buf, field, n);
  }
  char *base64 = fine ? encode(arc_buf_head(&buf), arc_buf_len(&buf)) : NULL;
  arc_buf_free(&buf);
  return base64;
}

static bool import(struct arc_pubkey *p) {
  enum ssh_keytypes_e type = ssh_key_type_from_name(p->type);
  int rc = type == SSH_KEYTYPE_UNKNOWN ? SSH_ERROR
           : arc_pubkey_certificate(p)
               ? ssh_pki_import_cert_base64(p->base64, type, &p->key)
               : ssh_pki_import_pubkey_base64(p->base64, type, &p->key);
  return rc == SSH_OK;
}

struct arc_pubkey *arc_pubkey_new(const uint8_t *blob, size_t len) {
  struct arc_cursor cur = {.at = blob, .left = len};
  char plain[64];
  struct arc_pubkey *p = len <= BLOB_MAX ? calloc(1, sizeof *p) : NULL;
  if (!p) {
    return NULL;
  }
  p->refs = 1;
  if (take_type(&cur, p->type)) {
    int fields = arc_sshcert_fields(p->type, plain);
    p->base64 = encode(blob, len);
    p->plain = fields      ? plain_of(cur, plain, fields)
               : p->base64 ? strdup(p->base64)
                           : NULL;
  }
  if (!p->base64 || !p->plain || !import(p)) {
    arc_pubkey_unref(p);
    return NULL;
  }
  return p;
}

uint8_t *arc_pubkey_bytes(const char *base64, size_t *len) {
  size_t n = strlen(base64);
  uint8_t *blob = n && n % 4 == 0 && n <= 2 * BLOB_MAX ? malloc(n) : NULL;
  int got =
      blob ? EVP_DecodeBlock(blob, (const unsigned char *)base64, (int)n) : -1;
  if (got < 0) {
    free(blob);
    return NULL;
  }
  *len = (size_t)got - (base64[n - 1] == '=') - (base64[n - 2] == '=');
  return blob;
}

struct arc_pubkey *arc_pubkey_parse(const char *line) {
  line += strcspn(line, " \t\n");
  line += strspn(line, " \t");
  char *base64 = strndup(line, strcspn(line, " \t\r\n"));
  size_t len = 0;
  uint8_t *blob = base64 ? arc_pubkey_bytes(base64, &len) : NULL;
  struct arc_pubkey *p = blob ? arc_pubkey_new(blob, len) : NULL;
  free(blob);
  free(base64);
  return p;
}

struct arc_pubkey *arc_pubkey_of(ssh_key key) {
  char *base64 = NULL;
  size_t len = 0;
  if (ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK) {
    return NULL;
  }
  uint8_t *blob = arc_pubkey_bytes(base64, &len);
  struct arc_pubkey *p = blob ? arc_pubkey_new(blob, len) : NULL;
  free(blob);
  ssh_string_free_char(base64);
  return p;
}

struct arc_pubkey *arc_pubkey_read(const char *path) {
  char text[FILE_MAX];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) {
    close(fd);
  }
  if (n <= 0) {
    return NULL;
  }
  text[n] = '\0';
  if (!strstr(text, "PRIVATE KEY")) {
    return arc_pubkey_parse(text);
  }
  explicit_bzero(text, sizeof text);
  ssh_key key = NULL;
  if (ssh_pki_import_pubkey_file(path, &key) != SSH_OK) {
    return NULL;
  }
  struct arc_pubkey *p = arc_pubkey_of(key);
  ssh_key_free(key);
  return p;
}

struct arc_pubkey *arc_pubkey_ref(struct arc_pubkey *pubkey) {
  if (pubkey) {
    pubkey->refs++;
  }
  return pubkey;
}

void arc_pubkey_unref(struct arc_pubkey *p) {
  if (p && !--p->refs) {
    ssh_key_free(p->key);
    free(p->base64);
    free(p->plain);
    free(p);
  }
}

bool arc_pubkey_certificate(const struct arc_pubkey *pubkey) {
  return strstr(pubkey->type, CERT);
}
