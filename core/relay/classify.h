/* SPDX-License-Identifier: MIT */
#ifndef ARC_CLASSIFY_H
#define ARC_CLASSIFY_H

#include <stddef.h>

struct arc_err;

/* What a relay's answer other than 101 means: the one place where its reason
 * phrase is read. Sets status and tracking_id; the message is the text before
 * " TrackingId:". Pure; never NULL. */
struct arc_err *arc_relay_classify(int status, const char *phrase, size_t n);

#endif
