/* SPDX-License-Identifier: MIT */
#ifndef ARC_WAY_H
#define ARC_WAY_H

struct arc_dial;
struct arc_err;

/* Decides whether the dial goes straight or by the proxy that the environment
 * names, tells libcurl, and notes whose address is to be asked. NULL, or an
 * error: the variable's value is no proxy's URL. Its text is never shown, for
 * it may hold a password. */
struct arc_err *arc_way_choose(struct arc_dial *dial);

#endif
