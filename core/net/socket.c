/* SPDX-License-Identifier: MIT */
#include "net/socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
  KEEP_IDLE = 60,
  KEEP_INTERVAL = 15,
  KEEP_PROBES = 4,
  /* Probes of a shut window are at most two minutes apart. */
  ACK_MAX_MS = 150 * 1000
};

static void set(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

void arc_socket_tune(int fd) {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_PROBES);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

/* Unsent bytes behind acknowledged ones: bytes on their way that nobody
 * acknowledges mean a dead network instead. */
bool arc_socket_held_up(int fd) {
  int unsent = 0;
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) &&
         !ioctl(fd, SIOCOUTQNSD, &unsent) && unsent > 0 &&
         info.tcpi_unacked == 0 && info.tcpi_last_ack_recv < ACK_MAX_MS;
}
