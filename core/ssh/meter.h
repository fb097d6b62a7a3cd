/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_METER_H
#define ARC_SSH_METER_H

#include <stdint.h>

/* Counts the bytes that transfers have moved, for itself and for all above it,
 * and holds them to a rate. Counted by references. */
struct arc_meter;

/* rate: bytes a second of all below it, 0 = any. The parent (may be NULL) is
 * kept. NULL without memory. */
struct arc_meter *arc_meter_new(struct arc_meter *parent, double rate);
struct arc_meter *arc_meter_ref(struct arc_meter *meter); /* NULL is fine */
void arc_meter_unref(struct arc_meter *meter);

/* Milliseconds until more may be moved; 0 = now. now: ms of the loop. */
int64_t arc_meter_wait(struct arc_meter *meter, int64_t now);
/* So many bytes are on their way, or (negative) did not come about. */
void arc_meter_spend(struct arc_meter *meter, int64_t bytes);
/* So many have arrived, or (negative) count no more. */
void arc_meter_count(struct arc_meter *meter, int64_t bytes);
int64_t arc_meter_moved(const struct arc_meter *meter);

#endif
