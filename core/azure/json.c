/* SPDX-License-Identifier: MIT */
#include "azure/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/secret.h"

static bool too_deep(const char *text, size_t n) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < n; i++) {
    char c = text[i];
    if (quoted) {
      i += c == '\\';
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > ARC_JSON_DEPTH_MAX) {
        return true;
      }
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return false;
}

static json_t *load(const char *text, size_t n, size_t more) {
  json_error_t error;
  size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | more;
  return too_deep(text, n) ? NULL : json_loadb(text, n, flags, &error);
}

json_t *arc_json_parse(const char *text, size_t n) { return load(text, n, 0); }

json_t *arc_json_unique(const char *text, size_t n) {
  return load(text, n, JSON_REJECT_DUPLICATES);
}

/* All allocators in question end in free: a thread that uses the library at
 * the same time merely wipes too. */
json_t *arc_json_secret(const char *text, size_t n) {
  json_malloc_t old_malloc;
  json_free_t old_free;
  json_get_alloc_funcs(&old_malloc, &old_free);
  bool usual = old_malloc == malloc && old_free == free;
  if (usual) {
    json_set_alloc_funcs(malloc, arc_wipe_free);
  }
  json_t *value = arc_json_parse(text, n);
  if (usual) {
    json_set_alloc_funcs(old_malloc, old_free);
  }
  return value;
}

static void wipe_strings(json_t *value) {
  const char *key;
  json_t *member;
  size_t i;
  if (json_is_string(value)) {
    explicit_bzero((char *)(uintptr_t)json_string_value(value),
                   json_string_length(value));
  } else if (json_is_object(value)) {
    json_object_foreach(value, key, member) { wipe_strings(member); }
  } else if (json_is_array(value)) {
    json_array_foreach(value, i, member) { wipe_strings(member); }
  }
}

void arc_json_wipe(json_t *value) {
  wipe_strings(value);
  json_decref(value);
}

const char *arc_json_text(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  const char *text = json_string_value(value);
  return text && strlen(text) == json_string_length(value) ? text : NULL;
}

bool arc_json_seconds(const json_t *value, double *seconds) {
  if (json_is_number(value)) {
    *seconds = json_number_value(value);
    return *seconds >= 0;
  }
  const char *text = json_string_value(value);
  size_t n = text ? strspn(text, "0123456789") : 0;
  if (!n || n > 15 || text[n]) {
    return false;
  }
  *seconds = strtod(text, NULL);
  return true;
}
