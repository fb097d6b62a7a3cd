/* SPDX-License-Identifier: MIT */
#ifndef ARC_SECRETENV_H
#define ARC_SECRETENV_H

#include <stdbool.h>

/* Whom a variable's secret is for. */
enum arc_secretenv {
  ARC_SECRETENV_NONE,
  ARC_SECRETENV_OWN,     /* arclua's own sign-in */
  ARC_SECRETENV_PLATFORM /* whoever signs in to Azure here, az and azd, too */
};

/* What an entry NAME=VALUE of the environment holds. */
enum arc_secretenv arc_secretenv_of(const char *entry);

/* The process's environment without what OWN says, ended by NULL: pointers to
 * its own entries, in a block to be freed. NULL without memory. */
char **arc_secretenv_without_own(void);

#endif
