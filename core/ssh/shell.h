/* SPDX-License-Identifier: MIT */
#ifndef ARC_SHELL_H
#define ARC_SHELL_H

#include "net/stream.h"
#include "ssh/exec.h"

/* A shell, command or subsystem whose input and output are streams. It belongs
 * to whoever started it until arc_shell_close; what still runs then is ended
 * on the far side by the loop alone. */
struct arc_shell;

/* Begins it. Of the options stdin, input, max_output, follow and timeout do not
 * count. command is NULL for a shell. NULL without memory. */
struct arc_shell *arc_shell_start(struct arc_session *session,
                                  const char *command,
                                  const struct arc_exec_options *opts);
/* An operation that ends when the server has started it, or fails with why
 * not. A cancel gives it up. One at a time. */
struct arc_op *arc_shell_open(struct arc_shell *shell);
/* An operation that ends when it is over: arc_shell_result then tells how. A
 * cancel leaves it running. One at a time. */
struct arc_op *arc_shell_wait(struct arc_shell *shell);
bool arc_shell_waited(const struct arc_shell *shell);
/* When over. What it points to lives as long as the shell. */
struct arc_exec_result arc_shell_result(const struct arc_shell *shell);
/* The stream of input and output (0), or of the error output (1); NULL when it
 * was taken. A stream that is closed discards what still comes. */
struct arc_stream *arc_shell_take(struct arc_shell *shell, int which);
/* It has the terminal that was asked for: servers may refuse one. */
bool arc_shell_has_terminal(const struct arc_shell *shell);
/* The terminal's size; told at once, or when it has started. */
void arc_shell_resize(struct arc_shell *shell, int cols, int rows);
/* Sends a signal ("TERM"); servers may ignore it. False: it does not run. */
bool arc_shell_signal(struct arc_shell *shell, const char *name);
void arc_shell_close(struct arc_shell *shell);

#endif
