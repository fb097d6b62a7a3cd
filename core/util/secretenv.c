/* SPDX-License-Identifier: MIT */
#include "util/secretenv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct row {
  const char *name;
  enum arc_secretenv what;
};

static const struct row rows[] = {
    {"ACTIONS_ID_TOKEN_REQUEST_TOKEN", ARC_SECRETENV_PLATFORM},
    {"AZURE_ACCESS_TOKEN", ARC_SECRETENV_OWN},
    {"AZURE_CLIENT_CERTIFICATE_PASSWORD", ARC_SECRETENV_OWN},
    {"AZURE_CLIENT_SECRET", ARC_SECRETENV_OWN},
    {"AZURE_PASSWORD", ARC_SECRETENV_OWN},
    {"IDENTITY_HEADER", ARC_SECRETENV_PLATFORM},
    {"MSI_SECRET", ARC_SECRETENV_PLATFORM},
    {"SSHPROXY_RELAY_INFO", ARC_SECRETENV_OWN},
    {"SYSTEM_ACCESSTOKEN", ARC_SECRETENV_PLATFORM},
};

enum arc_secretenv arc_secretenv_of(const char *entry) {
  size_t n = strcspn(entry, "=");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (strlen(rows[i].name) == n && !memcmp(rows[i].name, entry, n)) {
      return rows[i].what;
    }
  }
  return ARC_SECRETENV_NONE;
}

char **arc_secretenv_without_own(void) {
  size_t n = 0;
  while (environ && environ[n]) {
    n++;
  }
  char **list = calloc(n + 1, sizeof *list);
  size_t kept = 0;
  for (size_t i = 0; list && i < n; i++) {
    if (arc_secretenv_of(environ[i]) != ARC_SECRETENV_OWN) {
      list[kept++] = environ[i];
    }
  }
  return list;
}
