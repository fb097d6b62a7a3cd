/* SPDX-License-Identifier: MIT */
#ifndef ARC_TERMINAL_H
#define ARC_TERMINAL_H

#include <stdbool.h>

/* What is changed of terminals, and put back. One echo and one terminal at a
 * time: they belong to the process. */

/* Echo off, until show. False: it is off already, or fd is no terminal. */
bool arc_terminal_hide(int fd);
void arc_terminal_show(void);

/* Every byte as it is typed and as it is written, until cooked. fd stays the
 * caller's. 0 or a negative errno, -EAGAIN in the background; again for the
 * same fd is fine. */
int arc_terminal_raw(int fd);
/* As it was before raw; nothing when it is not raw. */
void arc_terminal_cooked(void);

bool arc_terminal_is_raw(void);

/* Puts back whatever was changed, for who leaves at once; async-signal-safe. */
void arc_terminal_restore(void);

#endif
