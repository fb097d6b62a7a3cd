/* SPDX-License-Identifier: MIT */
#ifndef ARC_LIST_H
#define ARC_LIST_H

/* NULL-terminated lists of texts. */

/* A copy of the list (NULL: an empty one), or NULL without memory. */
char **arc_list_copy(const char *const *list);
void arc_list_free(char **list); /* NULL is fine */

#endif
