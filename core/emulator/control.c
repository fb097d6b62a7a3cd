/* SPDX-License-Identifier: MIT */
#include "emulator/control.h"

#include <stdlib.h>
#include <string.h>

#include "azure/json.h"

static enum arc_control_kind kind_of(const json_t *message) {
  const json_t *renewal = json_object_get(message, "renewToken");
  const json_t *response = json_object_get(message, "response");
  if (!json_is_object(message) || (renewal && response)) {
    return ARC_CONTROL_MALFORMED;
  }
  if (!renewal && !response) {
    return ARC_CONTROL_UNKNOWN;
  }
  if (!json_is_object(renewal ? renewal : response)) {
    return ARC_CONTROL_MALFORMED;
  }
  return renewal ? ARC_CONTROL_RENEW : ARC_CONTROL_RESPONSE;
}

int arc_control_read(struct arc_control *control, const char *text, size_t n) {
  json_t *message = n <= ARC_CONTROL_MAX ? arc_json_unique(text, n) : NULL;
  const char *token = NULL;
  *control = (struct arc_control){.kind = kind_of(message)};
  if (control->kind == ARC_CONTROL_RENEW) {
    token = arc_json_text(json_object_get(message, "renewToken"), "token");
    control->token = token ? strdup(token) : NULL;
  }
  int rc = token && !control->token ? -1 : 0;
  json_decref(message);
  return rc;
}

void arc_control_free(struct arc_control *control) {
  free(control->token);
  control->token = NULL;
}
