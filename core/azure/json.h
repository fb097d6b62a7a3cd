/* SPDX-License-Identifier: MIT */
#ifndef ARC_JSON_H
#define ARC_JSON_H

#include <jansson.h>
#include <stdbool.h>

enum { ARC_JSON_DEPTH_MAX = 100 };

/* Parses a text that holds secrets, as arc_json_parse; what the parser frees
 * on its way is wiped. */
json_t *arc_json_secret(const char *text, size_t n);
/* Wipes all strings of value and lets go of it. NULL is fine. */
void arc_json_wipe(json_t *value);
/* Parses an ordinary text (any value at the top); NULL when it is not JSON or
 * nested deeper than ARC_JSON_DEPTH_MAX. */
json_t *arc_json_parse(const char *text, size_t n);
/* As arc_json_parse; NULL also when an object has two members of one name. */
json_t *arc_json_unique(const char *text, size_t n);

/* The string member `key` of an object without NUL, or NULL. */
const char *arc_json_text(const json_t *object, const char *key);
/* A number, or a string of digits: true and *value. */
bool arc_json_seconds(const json_t *value, double *seconds);

#endif
