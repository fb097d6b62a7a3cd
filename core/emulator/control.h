/* SPDX-License-Identifier: MIT */
#ifndef ARC_CONTROL_H
#define ARC_CONTROL_H

#include <stddef.h>

enum { ARC_CONTROL_MAX = 128 * 1024 }; /* bytes of a message */

/* What a listener may say in a text message of its control channel: an object
 * with one member whose name says what it is. */
enum arc_control_kind {
  ARC_CONTROL_RENEW,    /* {"renewToken":{"token":"..."}} */
  ARC_CONTROL_RESPONSE, /* {"response":{...}}: to an HTTP request */
  ARC_CONTROL_UNKNOWN,  /* another object: the protocol may grow */
  ARC_CONTROL_MALFORMED /* no such message: not JSON, too long or nested too
                           deeply, no object, a name twice, a wrong type */
};

struct arc_control {
  enum arc_control_kind kind;
  char *token; /* of a renewal, malloc; NULL: it names none, or no text */
};

/* Reads one message; -1 without memory. arc_control_free lets go of it. */
int arc_control_read(struct arc_control *control, const char *text, size_t n);
void arc_control_free(struct arc_control *control);

#endif
