/* SPDX-License-Identifier: MIT */
#ifndef ARC_AADSTS_H
#define ARC_AADSTS_H

/* What to do about one of Entra's numbered errors (AADSTS…), where it says more
 * than the reason's own remedy. */
struct arc_aadsts {
  long long code;
  const char *meaning; /* a few plain words */
  const char *remedy;
};

/* Sorted by code; the last has the code 0. */
extern const struct arc_aadsts arc_aadsts_codes[];

/* NULL: nothing is known of it. */
const struct arc_aadsts *arc_aadsts_find(long long code);

#endif
