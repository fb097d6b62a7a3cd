/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over files, without libFuzzer and with any compiler:
 *   fuzz_replay TARGET FILE...
 * The file that breaks it is the last that it names. Without arguments: the
 * names of the targets. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "targets.h" /* TARGETS(X): X(answer) X(bridge) ... */

#define DECLARE(name) int target_##name(const uint8_t *data, size_t size);
TARGETS(DECLARE)

#define ROW(name) {#name, target_##name},
static const struct target {
  const char *name;
  int (*run)(const uint8_t *data, size_t size);
} targets[] = {TARGETS(ROW)};
enum { N_TARGETS = sizeof targets / sizeof *targets };

/* The file's bytes in a block of exactly their size, so that a read past its
 * end is one past the block's; NULL: it cannot be read. */
static uint8_t *load(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  uint8_t *data = NULL;
  long n = -1;
  if (file && !fseek(file, 0, SEEK_END)) {
    n = ftell(file);
    rewind(file);
  }
  if (n >= 0 && (data = malloc((size_t)n + !n))) {
    *size = fread(data, 1, (size_t)n, file);
  }
  if (file) {
    fclose(file);
  }
  return data;
}

static int replay(const struct target *target, int n, char **paths) {
  for (int i = 0; i < n; i++) {
    size_t size = 0;
    uint8_t *data = load(paths[i], &size);
    if (!data) {
      perror(paths[i]);
      return 1;
    }
    printf("%s\n", paths[i]);
    fflush(stdout);
    target->run(data, size);
    free(data);
  }
  return 0;
}

int main(int argc, char **argv) {
  for (size_t i = 0; i < N_TARGETS; i++) {
    if (argc < 2) {
      printf("%s\n", targets[i].name);
    } else if (!strcmp(targets[i].name, argv[1])) {
      return replay(&targets[i], argc - 2, argv + 2);
    }
  }
  if (argc > 1) {
    fprintf(stderr, "fuzz_replay: no target '%s'\n", argv[1]);
  }
  return argc > 1 ? 2 : 0;
}
