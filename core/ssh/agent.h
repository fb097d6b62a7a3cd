/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_AGENT_H
#define ARC_SSH_AGENT_H

#include <libssh/libssh.h>
#include <stdbool.h>

#include "loop/loop.h"

/* A login with the keys of an agent. libssh waits for an agent without limit,
 * so its call runs on the loop's one thread for agents; until the thread
 * answers, the session is the thread's alone. */
struct arc_agent_job;

/* Connects to the agent at path and gives the connection to ssh. NULL sets
 * *err (owned). done(arg) runs from the drain after each call. */
struct arc_agent_job *arc_agent_open(struct arc_loop *loop, ssh_session ssh,
                                     const char *path, void (*done)(void *),
                                     void *arg, struct arc_err **err);
/* Hands the session to the thread for one call of ssh_userauth_agent. */
void arc_agent_call(struct arc_agent_job *job);
/* True while the thread has the session. */
bool arc_agent_away(const struct arc_agent_job *job);
/* What the call returned. */
int arc_agent_result(const struct arc_agent_job *job);
/* The agent's connection ends now: the thread will soon be back. */
void arc_agent_hurry(struct arc_agent_job *job);
/* When the session is not away. */
void arc_agent_free(struct arc_agent_job *job);

#endif
