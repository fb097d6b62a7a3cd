/* SPDX-License-Identifier: MIT */
#ifndef ARC_WSHEAD_H
#define ARC_WSHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/wsframe.h"

/* The head of one WebSocket frame (RFC 6455 §5.2) and its mask, no more: for
 * who passes frames on instead of reading messages. */
enum { ARC_WSHEAD_MAX = 14 };

struct arc_wshead {
  uint64_t length; /* of the payload */
  uint8_t opcode;  /* enum arc_wsopcode */
  bool fin, masked;
  uint8_t mask[4];
};

/* The bytes that the head takes, 0 = more are needed, -1 = no such frame may
 * be: *why is a static text. Roles and the order of frames are not judged. */
int arc_wshead_read(const uint8_t *at, size_t n, struct arc_wshead *head,
                    const char **why);
/* Writes the head of a frame that is not masked; returns its size. */
size_t arc_wshead_write(uint8_t to[ARC_WSHEAD_MAX],
                        const struct arc_wshead *head);
/* Masks or unmasks n bytes; phase: how many of the payload went before. */
void arc_ws_mask(uint8_t *to, const uint8_t *from, size_t n,
                 const uint8_t mask[4], uint64_t phase);
/* RFC 6455 §7.4: may this code be in a Close frame? */
bool arc_ws_code_valid(int code);

#endif
