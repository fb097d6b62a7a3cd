/* SPDX-License-Identifier: MIT */
/* What comes back on a connection that curl has: an HTTP server's answer, or
 * that of a proxy of each kind. The first byte: which of them, and the size of
 * the pieces. */
#include "fuzz.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http.h"

enum { BODY_MAX = 4096, DEADLINE_MS = 5000 };

static int port;

/* One socket a process, for the inputs one after the other. */
static int listening(void) {
  static int fd = -1;
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof at;
  if (fd < 0) {
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    DEMAND(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof at));
    DEMAND(!listen(fd, 8) && !getsockname(fd, (struct sockaddr *)&at, &n));
    port = ntohs(at.sin_port);
    setenv("SSL_CERT_DIR", "/", 1); // nothing to load for each input
    unsetenv("SSL_CERT_FILE");
    unsetenv("https_proxy");
    unsetenv("NO_PROXY");
    unsetenv("no_proxy");
  }
  return fd;
}

static struct arc_op *ask(struct arc_loop *loop, unsigned how) {
  static const char *const schemes[] = {"http", "socks5", "socks4"};
  char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%d/x", port);
  if (how) {
    char proxy[64];
    snprintf(proxy, sizeof proxy, "%s://user:secret@127.0.0.1:%d",
             schemes[how - 1], port);
    setenv("HTTPS_PROXY", proxy, 1);
    snprintf(url, sizeof url, "https://relay.test/x");
  }
  struct arc_http_request request = {.url = url,
                                     .deadline =
                                         arc_loop_now(loop) + DEADLINE_MS,
                                     .connect_timeout = 3,
                                     .max_body = BODY_MAX};
  struct arc_op *op = arc_http_request(loop, &request);
  DEMAND(op);
  return op;
}

/* Sends all of it, and then an end, while the operation runs. */
static void answer(struct arc_loop *loop, const struct arc_op *op,
                   struct fuzz_input in, size_t piece) {
  int fd = -1;
  bool ended = false;
  while (!op->done) {
    arc_loop_turn(loop, false);
    fd = fd < 0 ? accept(listening(), NULL, NULL) : fd;
    if (fd >= 0 && in.left) {
      size_t n = piece < in.left ? piece : in.left;
      ssize_t sent = send(fd, in.at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
      in.at += sent > 0 ? sent : 0;
      in.left -= sent > 0 ? (size_t)sent : in.left;
    } else if (fd >= 0 && !ended) {
      ended = true;
      shutdown(fd, SHUT_WR);
    }
  }
  if (fd >= 0) {
    close(fd);
  }
}

static void check(const struct arc_http_op *http) {
  const char *name, *value;
  size_t at = 0;
  if (http->op.err) {
    fuzz_check_error(http->op.err);
    DEMAND(!strstr(http->op.err->message, "secret"));
    return;
  }
  DEMAND(http->status >= 100 && http->status <= 999);
  DEMAND(arc_buf_len(&http->body) <= BODY_MAX);
  while (arc_http_next_header(http, &at, &name, &value)) {
    DEMAND(!strpbrk(name, "\r\n:") && !strpbrk(value, "\r\n"));
    DEMAND(arc_http_header(http, name));
  }
  DEMAND(at == arc_buf_len(&http->headers));
  double wait = arc_http_retry_after(http);
  DEMAND(wait == -1 || wait >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {data, size};
  uint8_t how = fuzz_byte(&in);
  DEMAND(listening() >= 0);
  struct arc_loop *loop = arc_loop_new();
  DEMAND(loop);
  struct arc_op *op = ask(loop, how & 3);
  answer(loop, op, in, (size_t)(how >> 2) * 16 + 1);
  check((struct arc_http_op *)op);
  arc_op_free(op);
  arc_loop_free(loop);
  return 0;
}
