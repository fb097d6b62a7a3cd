/* SPDX-License-Identifier: MIT */
/* For bench/relay.sh: the meter that drives a client between two pipes, and
 * the bare TLS stream that arclua is measured against.
 *   relay down N COMMAND...    bytes that COMMAND writes, N of them
 *   relay up N COMMAND...      N bytes into COMMAND, until it answers
 *   relay echo N COMMAND...    N times one byte there and back
 *   relay server CERT KEY PROGRAM...   TLS to PROGRAM on a socketpair; prints
 *                                      its port
 *   relay client PORT CA       stdin and stdout to that server
 * The meter prints: seconds, CPU seconds of COMMAND, its peak KiB. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };
static unsigned char chunk[CHUNK];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the meter ------------------------------------------------------------
 */

struct child {
  pid_t pid;
  int in, out; /* what it reads and what it writes */
};

static struct child start(char **argv) {
  int in[2], out[2];
  if (pipe(in) || pipe(out)) {
    err(1, "pipe");
  }
  struct child child = {fork(), in[1], out[0]};
  if (child.pid < 0) {
    err(1, "fork");
  }
  if (child.pid == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    for (int i = 0; i < 2; i++) {
      close(in[i]);
      close(out[i]);
    }
    execvp(argv[0], argv);
    err(127, "%s", argv[0]);
  }
  close(in[0]);
  close(out[1]);
  return child;
}

static void get(int fd, size_t n) {
  while (n) {
    ssize_t got = read(fd, chunk, n < CHUNK ? n : CHUNK);
    if (got <= 0) {
      errx(1, "the stream ended with %zu bytes to come", n);
    }
    n -= (size_t)got;
  }
}

static void put(int fd, size_t n) {
  while (n) {
    ssize_t sent = write(fd, chunk, n < CHUNK ? n : CHUNK);
    if (sent <= 0) {
      err(1, "write");
    }
    n -= (size_t)sent;
  }
}

static double measure(const char *what, size_t n, struct child *child) {
  if (strcmp(what, "echo") == 0) { // some for the caches first
    for (int i = 0; i < 100; i++) {
      put(child->in, 1);
      get(child->out, 1);
    }
  } else {
    get(child->out, 1); // the far side is there
  }
  double from = now();
  if (strcmp(what, "down") == 0) {
    get(child->out, n - 1);
  } else if (strcmp(what, "up") == 0) {
    put(child->in, n);
    get(child->out, 1);
  } else {
    for (size_t i = 0; i < n; i++) {
      put(child->in, 1);
      get(child->out, 1);
    }
  }
  return now() - from;
}

static double cpu_of(const struct rusage *used) {
  return (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) +
         (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec) / 1e6;
}

static int meter(const char *what, size_t n, char **argv) {
  struct child child = start(argv);
  double seconds = measure(what, n, &child);
  close(child.in);
  while (read(child.out, chunk, CHUNK) > 0) {
  }
  int status = 0;
  struct rusage used = {0};
  wait4(child.pid, &status, 0, &used);
  printf("%.6f %.4f %ld\n", seconds, cpu_of(&used), used.ru_maxrss);
  return status ? 1 : 0;
}

/* ---- bare TLS -------------------------------------------------------------
 */

static void write_all(int fd, const unsigned char *from, size_t n) {
  while (n) {
    ssize_t sent = write(fd, from, n);
    if (sent <= 0) {
      err(1, "write");
    }
    from += sent;
    n -= (size_t)sent;
  }
}

/* From TLS to out. False at its end. */
static int drain(SSL *ssl, int out) {
  do {
    int n = SSL_read(ssl, chunk, CHUNK);
    if (n <= 0) {
      return 0;
    }
    write_all(out, chunk, (size_t)n);
  } while (SSL_pending(ssl));
  return 1;
}

/* Both ways with blocking calls, nothing between the bytes and OpenSSL. */
static void copy(SSL *ssl, int in, int out) {
  struct pollfd ends[2] = {{in, POLLIN, 0}, {SSL_get_fd(ssl), POLLIN, 0}};
  while (poll(ends, 2, -1) > 0) {
    if (ends[0].revents) {
      ssize_t n = read(in, chunk, CHUNK);
      if (n <= 0) {
        SSL_shutdown(ssl);
        ends[0].fd = -1;
      } else if (SSL_write(ssl, chunk, (int)n) <= 0) {
        return;
      }
    }
    if (ends[1].revents && !drain(ssl, out)) {
      return;
    }
  }
}

static void at_once(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void serve(SSL_CTX *ctx, int fd, char **argv) {
  int ends[2];
  at_once(fd);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
    err(1, "socketpair");
  }
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], 0);
    dup2(ends[1], 1);
    execvp(argv[0], argv);
    err(127, "%s", argv[0]);
  }
  close(ends[1]);
  SSL *ssl = SSL_new(ctx);
  SSL_set_fd(ssl, fd);
  if (SSL_accept(ssl) == 1) {
    copy(ssl, ends[0], ends[0]);
    SSL_shutdown(ssl);
  }
  SSL_free(ssl);
  close(fd);
  close(ends[0]);
  waitpid(pid, NULL, 0);
}

static int server(const char *cert, const char *key, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t size = sizeof at;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_num_tickets(ctx, 0);
  if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
      SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
    errx(1, "no certificate");
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, (struct sockaddr *)&at, size) || listen(fd, 5) ||
      getsockname(fd, (struct sockaddr *)&at, &size)) {
    err(1, "listen");
  }
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  while (1) {
    int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (conn < 0) {
      return 1;
    }
    serve(ctx, conn, argv);
  }
}

static int client(int port, const char *ca) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1 ||
      connect(fd, (struct sockaddr *)&to, sizeof to)) {
    err(1, "connect");
  }
  at_once(fd);
  SSL *ssl = SSL_new(ctx);
  SSL_set_fd(ssl, fd);
  if (SSL_connect(ssl) != 1) {
    errx(1, "TLS");
  }
  copy(ssl, 0, 1);
  SSL_free(ssl);
  SSL_CTX_free(ctx);
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc > 4 && strcmp(argv[1], "server") == 0) {
    return server(argv[2], argv[3], argv + 4);
  }
  if (argc == 4 && strcmp(argv[1], "client") == 0) {
    return client(atoi(argv[2]), argv[3]);
  }
  if (argc < 4) {
    errx(2, "what?");
  }
  return meter(argv[1], strtoull(argv[2], NULL, 10), argv + 3);
}
