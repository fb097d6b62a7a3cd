/* SPDX-License-Identifier: MIT */
#ifndef ARC_UTF8_H
#define ARC_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether n bytes are well-formed UTF-8 (RFC 3629: no surrogates, shortest
 * forms, up to U+10FFFF). */
bool arc_utf8_valid(const char *text, size_t n);

#endif
