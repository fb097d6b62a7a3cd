/* SPDX-License-Identifier: MIT */
#include "util/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 64 * 1024 };

static int make_one(const char *path, mode_t mode) {
  struct stat st;
  if (mkdir(path, mode) == 0) {
    return 0;
  }
  int error = errno;
  if (error == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
    return 0;
  }
  return error == EEXIST ? ENOTDIR : error;
}

int arc_mkdirs(const char *path, mode_t mode) {
  char part[PATH_MAX];
  size_t n = strlen(path);
  if (n >= sizeof part) {
    return ENAMETOOLONG;
  }
  for (size_t i = 1; i <= n; i++) {
    if (path[i] != '/' && path[i] != '\0') {
      continue;
    }
    memcpy(part, path, i);
    part[i] = '\0';
    int error = make_one(part, mode);
    if (error && (i == n || error != EACCES)) {
      return error;
    }
  }
  return 0;
}

int arc_write_all(int fd, const void *data, size_t n) {
  const char *at = data;
  while (n) {
    ssize_t done = write(fd, at, n);
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done < 0) {
      return errno;
    }
    at += done;
    n -= (size_t)done;
  }
  return 0;
}

int arc_write_file(const char *path, const void *data, size_t n, mode_t mode) {
  char temporary[PATH_MAX];
  if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >=
      (int)sizeof temporary) {
    return ENAMETOOLONG;
  }
  int fd = mkostemp(temporary, O_CLOEXEC);
  if (fd < 0) {
    return errno;
  }
  int error = arc_write_all(fd, data, n);
  if (!error && (fchmod(fd, mode) || fsync(fd))) {
    error = errno;
  }
  if (close(fd) && !error) {
    error = errno;
  }
  if (!error && rename(temporary, path)) {
    error = errno;
  }
  if (error) {
    unlink(temporary);
  }
  return error;
}

int arc_append_file(const char *path, const void *data, size_t n, mode_t mode) {
  int fd =
      open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) {
    return errno;
  }
  int error = flock(fd, LOCK_EX) ? errno : arc_write_all(fd, data, n);
  if (close(fd) && !error) {
    error = errno;
  }
  return error;
}

int arc_read_file(const char *path, size_t max, struct arc_buf *into) {
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    return errno;
  }
  int error = 0;
  for (;;) {
    uint8_t *room = arc_buf_reserve(into, READ_STEP);
    ssize_t n = room ? read(fd, room, READ_STEP) : -1;
    if (n < 0 && room && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      error = n == 0 ? 0 : room ? errno : ENOMEM;
      break;
    }
    arc_buf_commit(into, (size_t)n);
    if (arc_buf_len(into) > max) {
      error = EFBIG;
      break;
    }
  }
  close(fd);
  return error;
}

static int remove_at(int dir, const char *name);

static int remove_entries(int fd) {
  DIR *list = fdopendir(fd);
  if (!list) {
    int error = errno;
    close(fd);
    return error;
  }
  int error = 0;
  struct dirent *entry;
  (void)fchmod(fd, 0700); // its owner may have locked it
  while ((entry = readdir(list))) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      int failed = remove_at(dirfd(list), entry->d_name);
      error = error ? error : failed;
    }
  }
  closedir(list);
  return error;
}

static int remove_at(int dir, const char *name) {
  if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) {
    return 0;
  }
  if (errno != EISDIR && errno != EPERM) {
    return errno;
  }
  int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    return errno;
  }
  int error = remove_entries(fd);
  if (!error && unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOENT) {
    error = errno;
  }
  return error;
}

int arc_remove_tree(const char *path) { return remove_at(AT_FDCWD, path); }
