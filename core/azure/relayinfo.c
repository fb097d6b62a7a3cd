/* SPDX-License-Identifier: MIT */
#include "azure/relayinfo.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "azure/json.h"
#include "crypto/base64.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/privatefile.h"

enum {
  NAME_MAX_LEN = 200,
  SUFFIX_MAX = 100,
  PATH_MAX_LEN = 1024,
  TOKEN_MAX = 16 * 1024
};

/* Labels of letters, digits and hyphens between dots. */
static bool is_host(const char *text, size_t n) {
  size_t label = 0;
  for (size_t i = 0; i < n; i++) {
    bool dot = text[i] == '.';
    if (dot ? !label : !isalnum((unsigned char)text[i]) && text[i] != '-') {
      return false;
    }
    label = dot ? 0 : label + 1;
  }
  return label;
}

static bool is_port(const char *text) {
  size_t n = strspn(text, "0123456789");
  long port = n && n < 6 && !text[n] ? strtol(text, NULL, 10) : 0;
  return port > 0 && port < 65536;
}

static bool is_suffix(const char *text) {
  size_t n = strcspn(text, ":");
  return strlen(text) <= SUFFIX_MAX && is_host(text, n) &&
         (!text[n] || is_port(text + n + 1));
}

/* What may stand in a request line's path as it is, without a segment that
 * leads out of it. */
static bool is_path(const char *text) {
  size_t n = strlen(text);
  if (!n || n > PATH_MAX_LEN || *text == '/') {
    return false;
  }
  for (const char *at = text; *at;) {
    size_t len = strcspn(at, "/");
    if ((len == 1 && at[0] == '.') || (len == 2 && !strncmp(at, "..", 2))) {
      return false;
    }
    at += len + (at[len] == '/');
  }
  for (; *text; text++) {
    if (*text <= ' ' || *text > '~' || strchr("?#\\\"<>", *text)) {
      return false;
    }
  }
  return true;
}

static bool is_header_value(const char *text) {
  size_t n = strlen(text);
  for (size_t i = 0; i < n; i++) {
    if (text[i] < ' ' || text[i] > '~') {
      return false;
    }
  }
  return n && n <= TOKEN_MAX && *text != ' ' && text[n - 1] != ' ';
}

/* The name of the first member that is absent or cannot be used, or NULL. */
static const char *find_fault(const json_t *relay) {
  const char *ns = arc_json_text(relay, "namespaceName");
  const char *suffix = arc_json_text(relay, "namespaceNameSuffix");
  const char *path = arc_json_text(relay, "hybridConnectionName");
  const char *key = arc_json_text(relay, "accessKey");
  const json_t *token = json_object_get(relay, "serviceConfigurationToken");
  const char *text = arc_json_text(relay, "serviceConfigurationToken");
  if (!ns || strlen(ns) > NAME_MAX_LEN || !is_host(ns, strlen(ns))) {
    return "namespaceName";
  }
  if (!suffix || !is_suffix(suffix)) {
    return "namespaceNameSuffix";
  }
  if (!path || !is_path(path)) {
    return "hybridConnectionName";
  }
  if (!key || !is_header_value(key)) {
    return "accessKey";
  }
  bool absent = !token || json_is_null(token) || (text && !*text);
  return absent || (text && is_header_value(text))
             ? NULL
             : "serviceConfigurationToken";
}

static char *join_host(const json_t *relay) {
  char *host = NULL;
  int n = asprintf(&host, "%s.%s", arc_json_text(relay, "namespaceName"),
                   arc_json_text(relay, "namespaceNameSuffix"));
  if (n < 0) {
    return NULL;
  }
  char *port = strchr(host, ':');
  if (port && !strcmp(port, ":443")) {
    *port = '\0';
  }
  return host;
}

static bool fill(struct arc_relayinfo *info, const json_t *relay) {
  const char *key = arc_json_text(relay, "accessKey");
  const char *token = arc_json_text(relay, "serviceConfigurationToken");
  info->host = join_host(relay);
  info->path = strdup(arc_json_text(relay, "hybridConnectionName"));
  info->access_key = arc_secret_new(key, strlen(key));
  if (token && *token) {
    info->service_token = arc_secret_new(token, strlen(token));
  }
  info->expires_on = -1;
  arc_json_seconds(json_object_get(relay, "expiresOn"), &info->expires_on);
  return info->host && info->path && info->access_key &&
         (!token || !*token || info->service_token);
}

struct arc_relayinfo *arc_relayinfo_read(const json_t *answer,
                                         struct arc_err **err) {
  const json_t *relay = json_object_get(answer, "relay");
  const char *fault = relay ? find_fault(relay) : "relay";
  if (fault) {
    *err = arc_err_reason("relay.bad-credentials",
                          "the relay credentials' %s is missing or cannot be "
                          "used",
                          fault);
    return NULL;
  }
  struct arc_relayinfo *info = calloc(1, sizeof *info);
  if (info) {
    info->refs = 1;
    if (fill(info, relay)) {
      return info;
    }
    arc_relayinfo_unref(info);
  }
  *err = arc_err_new(ARC_E_NOMEM, "out of memory");
  return NULL;
}

/* az hands its proxy the same JSON in base64. */
static json_t *load(const char *text, size_t n) {
  struct arc_buf plain = {.secret = true};
  json_t *answer;
  if (n && *text != '{' && arc_base64_decode(&plain, text, n)) {
    answer = arc_json_secret((const char *)arc_buf_head(&plain),
                             arc_buf_len(&plain));
  } else {
    answer = arc_json_secret(text, n);
  }
  arc_buf_free(&plain);
  return answer;
}

struct arc_relayinfo *arc_relayinfo_parse(const char *text, size_t n,
                                          struct arc_err **err) {
  json_t *answer = load(text, n);
  if (!answer) {
    *err = arc_err_reason("relay.bad-credentials",
                          "the relay credentials are not JSON");
    return NULL;
  }
  struct arc_relayinfo *info = arc_relayinfo_read(answer, err);
  arc_json_wipe(answer);
  return info;
}

json_t *arc_relayinfo_json(const struct arc_relayinfo *info) {
  size_t label = strcspn(info->host, ".");
  const char *suffix = info->host + label + (info->host[label] == '.');
  json_t *relay = json_pack("{s:s%, s:s, s:s, s:s%, s:I}", "namespaceName",
                            info->host, label, "namespaceNameSuffix", suffix,
                            "hybridConnectionName", info->path, "accessKey",
                            info->access_key->bytes, info->access_key->len,
                            "expiresOn", (json_int_t)info->expires_on);
  if (relay && info->service_token &&
      json_object_set_new(
          relay, "serviceConfigurationToken",
          json_stringn(info->service_token->bytes, info->service_token->len))) {
    arc_json_wipe(relay);
    return NULL;
  }
  return relay;
}

static int append(const char *text, size_t n, void *buf) {
  return arc_buf_append(buf, text, n) ? 0 : -1;
}

/* {"relay":{...}} in base64, into text. */
static bool spell(const struct arc_relayinfo *info, struct arc_buf *text) {
  struct arc_buf plain = {.secret = true};
  json_t *relay = arc_relayinfo_json(info);
  json_t *root = relay ? json_pack("{s:O}", "relay", relay) : NULL;
  bool ok = root && !json_dump_callback(root, append, &plain, 0) &&
            arc_base64_encode(text, arc_buf_head(&plain), arc_buf_len(&plain),
                              ARC_BASE64_PADDED);
  json_decref(root);
  arc_json_wipe(relay);
  arc_buf_free(&plain);
  return ok;
}

struct arc_err *arc_relayinfo_export(const struct arc_relayinfo *info,
                                     const char *dir, const char *name) {
  int fd = -1;
  struct arc_buf text = {.secret = true};
  struct arc_err *err = spell(info, &text)
                            ? arc_privatedir_open(dir, true, &fd)
                            : arc_err_new(ARC_E_NOMEM, "out of memory");
  if (!err) {
    err = arc_privatefile_write(fd, name, arc_buf_head(&text),
                                arc_buf_len(&text));
  }
  arc_buf_free(&text);
  if (fd >= 0) {
    close(fd);
  }
  return err;
}

struct arc_relayinfo *arc_relayinfo_ref(struct arc_relayinfo *info) {
  info->refs++;
  return info;
}

void arc_relayinfo_unref(struct arc_relayinfo *info) {
  if (!info || --info->refs) {
    return;
  }
  free(info->host);
  free(info->path);
  arc_secret_unref(info->access_key);
  arc_secret_unref(info->service_token);
  free(info);
}
