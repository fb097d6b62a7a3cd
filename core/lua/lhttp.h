/* SPDX-License-Identifier: MIT */
#ifndef ARC_LHTTP_H
#define ARC_LHTTP_H

#include <lua.h>

#include "net/http.h"

/* Reads the option `headers` of the table at index: names to strings,
 * secrets (sent as bearer tokens) or { prefix, secret }. Raises on anything
 * else. Pushes a userdata that holds the array, with room for `extra` more
 * behind the *n. */
struct arc_http_header *arc_checkheaders(lua_State *L, int index, size_t extra,
                                         size_t *n);
/* Pushes a table of the answer's headers; repeated ones joined by ", ". With
 * `wanted` (ends with NULL; a trailing * is a prefix) only those. */
void arc_pushheaders(lua_State *L, const struct arc_http_op *http,
                     const char *const *wanted);

#endif
