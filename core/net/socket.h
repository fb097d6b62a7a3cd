/* SPDX-License-Identifier: MIT */
#ifndef ARC_SOCKET_H
#define ARC_SOCKET_H

#include <stdbool.h>

/* What every connection of ours gets: no Nagle, and keep-alive probes after a
 * minute of silence, four of them 15 s apart. No TCP socket: nothing. */
void arc_socket_tune(int fd);
/* Does the far host acknowledge, with its window shut? It is alive then,
 * whatever its program does. */
bool arc_socket_held_up(int fd);

#endif
