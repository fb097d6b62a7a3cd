/* SPDX-License-Identifier: MIT */
#include "util/list.h"

#include <stdlib.h>
#include <string.h>

void arc_list_free(char **list) {
  for (char **text = list; text && *text; text++) {
    free(*text);
  }
  free(list);
}

char **arc_list_copy(const char *const *list) {
  size_t n = 0;
  while (list && list[n]) {
    n++;
  }
  char **copy = calloc(n + 1, sizeof *copy);
  for (size_t i = 0; copy && i < n; i++) {
    copy[i] = strdup(list[i]);
    if (!copy[i]) {
      arc_list_free(copy);
      return NULL;
    }
  }
  return copy;
}
