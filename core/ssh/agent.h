/* SPDX-License-Identifier: MIT */
#ifndef ARC_SSH_AGENT_H
#define ARC_SSH_AGENT_H

#include <libssh/libssh.h>
#include <stdbool.h>

#include "loop/loop.h"
#include "ssh/pubkey.h"

/* The agent of one login. We talk to it ourselves, on the loop. libssh, which
 * can sign by an agent only, and waits for one without limit, talks to us:
 * over a socket pair at whose other end it finds the keys that we choose. Its
 * call runs on the loop's one thread for agents; until the thread answers, the
 * session is the thread's alone. */
struct arc_agent_job;

/* Connects to the agent at path and asks for its keys. NULL sets *err (owned).
 * done(arg) runs from the drain when they have come, and after each call. */
struct arc_agent_job *arc_agent_open(struct arc_loop *loop, const char *path,
                                     void (*done)(void *), void *arg,
                                     struct arc_err **err);
/* True until the agent has told its keys, or why not: arc_agent_err. */
bool arc_agent_listing(const struct arc_agent_job *job);
/* Why it told no keys or made no signature, or NULL; borrowed. */
struct arc_err *arc_agent_err(const struct arc_agent_job *job);
/* Its keys that libssh knows; borrowed. */
struct arc_pubkey *const *arc_agent_keys(const struct arc_agent_job *job,
                                         size_t *n);

/* The key or certificate that is offered next, signed for by agent's key
 * (base64). False without memory. */
bool arc_agent_pick(struct arc_agent_job *job, const struct arc_pubkey *offer,
                    const char *signer);
/* Hands the session to the thread for one call of ssh_userauth_agent, which
 * offers what was picked in order. */
bool arc_agent_call(struct arc_agent_job *job, ssh_session ssh);
/* True while the thread has the session. */
bool arc_agent_away(const struct arc_agent_job *job);
/* What the call returned. */
int arc_agent_result(const struct arc_agent_job *job);
/* The pick that was signed for last, from 0; -1: none. */
int arc_agent_signed(const struct arc_agent_job *job);
/* Forgets what was picked: the next call offers anew. */
void arc_agent_reset(struct arc_agent_job *job);
/* libssh's connection ends now: the thread will soon be back. */
void arc_agent_hurry(struct arc_agent_job *job);
/* When the session is not away. */
void arc_agent_free(struct arc_agent_job *job);

#endif
