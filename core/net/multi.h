/* SPDX-License-Identifier: MIT */
#ifndef ARC_MULTI_H
#define ARC_MULTI_H

#include <curl/curl.h>

#include "loop/loop.h"

struct arc_err;

/* libcurl's transfers on the loop. */
struct arc_multi;

/* The loop's multi handle of that purpose, made at first use: requests share
 * connections, those with a trust store of their own apart from the others;
 * connections that are handed over afterwards (CONNECT_ONLY) are never
 * shared, and several handles hold them. NULL with *err, also when curl's TLS
 * is not the OpenSSL that this program uses. */
enum arc_multi_kind {
  ARC_MULTI_HTTP,
  ARC_MULTI_HTTP_CA,
  ARC_MULTI_CONNECT,
  ARC_MULTI_KINDS
};
struct arc_multi *arc_multi_get(struct arc_loop *loop, enum arc_multi_kind kind,
                                struct arc_err **err);

/* Ends the connections that wait for another request, where none is under way:
 * each holds the password of its proxy. */
void arc_multi_close_idle(struct arc_loop *loop);

/* One transfer. Embed it. */
struct arc_transfer {
  CURL *easy;
  struct arc_multi *multi; /* NULL while not added */
  /* Once, outside curl: the transfer has ended and (but for the connections
   * of ARC_MULTI_CONNECT that succeeded) was removed. */
  void (*done)(void *arg, CURLcode result);
  void *arg;
  bool starved; /* no memory to watch its socket: ends with that */
  struct arc_transfer *next_starved;
};

/* Starts transfer->easy. False: curl refused. */
bool arc_multi_add(struct arc_multi *multi, struct arc_transfer *transfer);
/* Ends it without `done`; fine when it is not added. */
void arc_multi_remove(struct arc_transfer *transfer);
/* Lets go of the descriptor's poll handle, so that another may watch it. */
void arc_multi_forget(struct arc_multi *multi, curl_socket_t fd);

#endif
