/* SPDX-License-Identifier: MIT */
/* Relay credentials as JSON and as JSON in base64: what is taken can be sent
 * in a request as it is. */
#include "fuzz.h"

#include "azure/relayinfo.h"
#include "crypto/base64.h"

static void check_sendable(const char *text, const char *never) {
  DEMAND(*text);
  for (const char *c = text; *c; c++) {
    DEMAND(*c >= ' ' && *c <= '~' && !strchr(never, *c));
  }
}

static void check_info(const struct arc_relayinfo *info) {
  DEMAND(info->refs == 1 && info->access_key);
  check_sendable(info->host, " /?#\\@\"<>[]");
  check_sendable(info->path, " ?#\\\"<>");
  DEMAND(*info->path != '/' && strcmp(info->path, "..") != 0);
  DEMAND(strncmp(info->path, "../", 3) != 0 && !strstr(info->path, "/../"));
  check_sendable(info->access_key->bytes, "");
  DEMAND(strlen(info->access_key->bytes) == info->access_key->len);
  if (info->service_token) {
    check_sendable(info->service_token->bytes, "");
  }
}

/* Whether text was taken. */
static bool parse(const char *text, size_t n) {
  struct arc_err *err = NULL;
  struct arc_relayinfo *info = arc_relayinfo_parse(text, n, &err);
  if (info) {
    DEMAND(!err);
    check_info(info);
    arc_relayinfo_unref(info);
    return true;
  }
  fuzz_check_error(err);
  DEMAND(err->reason);
  arc_err_unref(err);
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arc_buf coded = {0};
  bool taken = parse((const char *)data, size);
  DEMAND(arc_base64_encode(&coded, data, size, ARC_BASE64_PADDED));
  bool again = parse((const char *)arc_buf_head(&coded), arc_buf_len(&coded));
  DEMAND(!taken || again || *data != '{');
  arc_buf_free(&coded);
  return 0;
}
