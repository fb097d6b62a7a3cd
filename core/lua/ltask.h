/* SPDX-License-Identifier: MIT */
#ifndef ARC_LTASK_H
#define ARC_LTASK_H

#include <lua.h>

/* For the host: it runs everything as tasks and hears signals. */

/* Ends the running Lua code soon, also an endless loop. Async-signal-safe; the
 * state pointer is that of arc_state_of. */
struct arc_state;
struct arc_state *arc_state_of(lua_State *L);
void arc_interrupt(struct arc_state *state);
/* Spawns the function and arguments on top of L (pops them); pushes the
 * task. */
int arc_spawn(lua_State *L, int nargs);
/* Turns the loop until the task at index has ended. False when it waits for
 * something that cannot happen any more. */
int arc_run_task(lua_State *L, int index);
/* As task:cancel(). */
void arc_cancel_task(lua_State *L, int index);
/* Pushes the results of the ended task at index, or its error; returns how
 * many, -1 for an error (one value). */
int arc_task_results(lua_State *L, int index);

#endif
