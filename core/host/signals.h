/* SPDX-License-Identifier: MIT */
#ifndef ARC_HOST_SIGNALS_H
#define ARC_HOST_SIGNALS_H

#include <lua.h>

/* Adds terminal_signal and suspend to the table on top of the stack. */
void arc_open_terminal_signals(lua_State *L);
/* The state goes: those signals have their default effect again. */
void arc_close_terminal_signals(void);

#endif
