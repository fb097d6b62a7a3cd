/* SPDX-License-Identifier: MIT */
#ifndef ARC_UTF8_H
#define ARC_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether n bytes are well-formed UTF-8 (RFC 3629: no surrogates, shortest
 * forms, up to U+10FFFF). */
bool arc_utf8_valid(const char *text, size_t n);
/* The length of the well-formed character that text of n > 0 bytes begins
 * with, or 0. */
size_t arc_utf8_char(const char *text, size_t n);

#endif
