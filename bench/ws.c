/* SPDX-License-Identifier: MIT */
/* Our WebSocket framing beside wslay's: frames of one size, encoded as a
 * client, decoded as a server, interleaved runs, CPU seconds per GB.
 * bench/ws.sh builds and runs it. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wslay/wslay.h>

#include "net/wsframe.h"

enum { RUNS = 7, BATCH = 64 * 1024 };

static void die(const char *what) {
  fprintf(stderr, "bench/ws: %s\n", what);
  exit(1);
}

static double cpu_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- wslay, as core/net used it -------------------------------------------
 */

static ssize_t on_recv(uint8_t *to, size_t n, int flags, void *arg) {
  struct arc_buf **ends = arg;
  (void)flags;
  size_t got = arc_buf_take(ends[0], to, n);
  return got ? (ssize_t)got : -1;
}

static ssize_t on_send(const uint8_t *from, size_t n, int flags, void *arg) {
  struct arc_buf **ends = arg;
  (void)flags;
  return arc_buf_append(ends[1], from, n) ? (ssize_t)n : -1;
}

static int on_mask(uint8_t *to, size_t n, void *arg) {
  (void)arg;
  return RAND_bytes(to, (int)n) == 1 ? 0 : -1;
}

static wslay_frame_context_ptr new_wslay(struct arc_buf **ends) {
  static const struct wslay_frame_callbacks callbacks = {on_send, on_recv,
                                                         on_mask};
  wslay_frame_context_ptr context;
  if (wslay_frame_context_init(&context, &callbacks, ends)) {
    die("wslay");
  }
  return context;
}

static void wslay_encode(wslay_frame_context_ptr context, const uint8_t *from,
                         size_t n) {
  struct wslay_frame_iocb io = {.fin = 1,
                                .opcode = WSLAY_BINARY_FRAME,
                                .payload_length = n,
                                .mask = 1,
                                .data = from,
                                .data_length = n};
  while (io.data_length) {
    ssize_t rc = wslay_frame_send(context, &io);
    if (rc < 0) {
      die("wslay_frame_send");
    }
    io.data += rc;
    io.data_length -= (size_t)rc;
  }
}

static void wslay_decode(wslay_frame_context_ptr context,
                         struct arc_buf *data) {
  struct wslay_frame_iocb io = {0};
  ssize_t rc;
  while ((rc = wslay_frame_recv(context, &io)) >= 0) {
    arc_buf_append(data, io.data, io.data_length);
  }
  if (rc != WSLAY_ERR_WANT_READ) {
    die("wslay_frame_recv");
  }
}

/* ---- one run --------------------------------------------------------------
 */

struct times {
  double encode, decode;
};

/* A batch of frames of n bytes into wire. */
typedef void (*encode_fn)(void *context, struct arc_buf *wire,
                          const uint8_t *from, size_t n);
typedef void (*decode_fn)(void *context, struct arc_buf *raw,
                          struct arc_buf *data);

static void encode_wslay(void *context, struct arc_buf *wire,
                         const uint8_t *from, size_t n) {
  (void)wire;
  wslay_encode(context, from, n);
}

static void decode_wslay(void *context, struct arc_buf *raw,
                         struct arc_buf *data) {
  (void)raw;
  wslay_decode(context, data);
}

static void encode_ours(void *context, struct arc_buf *wire,
                        const uint8_t *from, size_t n) {
  if (!arc_wsframes_encode(context, wire, ARC_WSOP_BINARY, from, n)) {
    die("encode");
  }
}

static void decode_ours(void *context, struct arc_buf *raw,
                        struct arc_buf *data) {
  struct arc_wsnews news;
  if (arc_wsframes_decode(context, raw, data, SIZE_MAX, &news) != ARC_WS_MORE) {
    die("decode");
  }
}

struct codec {
  void *encoder, *decoder;
  encode_fn encode;
  decode_fn decode;
  struct arc_buf *wire;
};

static struct times run(const struct codec *codec, size_t n, size_t total) {
  struct arc_buf data = {0};
  struct times spent = {0};
  uint8_t *payload = malloc(n);
  if (!payload || RAND_bytes(payload, (int)n) != 1) {
    die("no payload");
  }
  for (size_t done = 0; done < total;) {
    double start = cpu_now();
    size_t batch = 0;
    for (; batch < BATCH; batch += n) {
      codec->encode(codec->encoder, codec->wire, payload, n);
    }
    double middle = cpu_now();
    codec->decode(codec->decoder, codec->wire, &data);
    spent.decode += cpu_now() - middle;
    spent.encode += middle - start;
    if (arc_buf_len(&data) != batch ||
        memcmp(arc_buf_head(&data), payload, n) != 0) {
      die("what came out is not what went in");
    }
    arc_buf_consume(&data, batch);
    done += batch;
  }
  free(payload);
  arc_buf_free(&data);
  double gb = (double)total / 1e9;
  return (struct times){spent.encode / gb, spent.decode / gb};
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values) {
  qsort(values, RUNS, sizeof *values, ascending);
  return values[RUNS / 2];
}

static void compare(const struct codec *codecs, size_t n, size_t total) {
  static const char *const names[] = {"wslay", "ours"};
  double encode[2][RUNS], decode[2][RUNS];
  for (int i = 0; i < RUNS; i++) {
    for (int who = 0; who < 2; who++) {
      struct times spent = run(&codecs[who], n, total);
      encode[who][i] = spent.encode;
      decode[who][i] = spent.decode;
    }
  }
  for (int who = 0; who < 2; who++) {
    double out = median(encode[who]), in = median(decode[who]);
    printf("| %6zu | %-5s | %6.3f | %6.3f | %7.0f | %7.0f |\n", n, names[who],
           out, in, 1e3 / out, 1e3 / in);
  }
}

int main(void) {
  struct arc_buf theirs = {0}, mine = {0};
  struct arc_buf *ends[2] = {&theirs, &theirs};
  struct codec codecs[2] = {
      {new_wslay(ends), new_wslay(ends), encode_wslay, decode_wslay, &theirs},
      {arc_wsframes_new(ARC_WS_CLIENT), arc_wsframes_new(ARC_WS_SERVER),
       encode_ours, decode_ours, &mine}};
  puts("| frame  | who   | encode | decode | enc MB/s | dec MB/s |\n"
       "|---:|---|---:|---:|---:|---:|");
  compare(codecs, 32 * 1024, 512u << 20);
  compare(codecs, 1024, 128u << 20);
  compare(codecs, 64, 16u << 20);
  wslay_frame_context_free(codecs[0].encoder);
  wslay_frame_context_free(codecs[0].decoder);
  arc_wsframes_free(codecs[1].encoder);
  arc_wsframes_free(codecs[1].decoder);
  arc_buf_free(&theirs);
  arc_buf_free(&mine);
  return 0;
}
