/* SPDX-License-Identifier: MIT */
#include "net/head.h"

#include <string.h>
#include <strings.h>

bool arc_span_equals(struct arc_span span, const char *text) {
  return span.len == strlen(text) && !strncasecmp(span.at, text, span.len);
}

static struct arc_span trimmed(const char *at, size_t len) {
  while (len && (*at == ' ' || *at == '\t')) {
    at++;
    len--;
  }
  while (len && (at[len - 1] == ' ' || at[len - 1] == '\t')) {
    len--;
  }
  return (struct arc_span){at, len};
}

bool arc_span_lists(struct arc_span span, const char *word) {
  for (;;) {
    const char *comma = memchr(span.at, ',', span.len);
    size_t n = comma ? (size_t)(comma - span.at) : span.len;
    if (arc_span_equals(trimmed(span.at, n), word)) {
      return true;
    }
    if (!comma) {
      return false;
    }
    span.at += n + 1;
    span.len -= n + 1;
  }
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static bool is_token(uint8_t c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* "HTTP/1.1 404 Text", without its CRLF. */
static bool parse_status(struct arc_head *head, const char *line, size_t n) {
  const uint8_t *c = (const uint8_t *)line;
  if (n < 12 || memcmp(line, "HTTP/1.", 7) != 0 || c[7] < '0' || c[7] > '1' ||
      c[8] != ' ' || c[9] < '1' || c[9] > '5' || !is_digit(c[10]) ||
      !is_digit(c[11]) || (n > 12 && c[12] != ' ')) {
    return false;
  }
  head->minor = c[7] - '0';
  head->status = (c[9] - '0') * 100 + (c[10] - '0') * 10 + (c[11] - '0');
  size_t skip = n > 12 ? 13 : 12;
  head->reason = (struct arc_span){line + skip, n - skip};
  return !memchr(line, '\0', n);
}

/* "Name: value", without its CRLF. */
static bool check_field(const char *line, size_t n) {
  size_t i = 0;
  while (i < n && is_token((uint8_t)line[i])) {
    i++;
  }
  if (!i || i == n || line[i] != ':') {
    return false;
  }
  for (i++; i < n; i++) {
    uint8_t c = (uint8_t)line[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f) {
      return false;
    }
  }
  return true;
}

/* The length of the line at `at` without its CRLF; false when it is broken by
 * a CR or LF alone. The head is known to end with CRLF. */
static bool cut_line(const char *at, size_t left, size_t *len) {
  const char *lf = memchr(at, '\n', left);
  const char *cr = memchr(at, '\r', left);
  *len = cr ? (size_t)(cr - at) : 0;
  return lf && cr && lf == cr + 1;
}

static enum arc_head_state parse_whole(struct arc_head *head,
                                       const char *text) {
  size_t len;
  if (!cut_line(text, head->length, &len) || !parse_status(head, text, len)) {
    return ARC_HEAD_BAD;
  }
  size_t at = len + 2;
  head->fields = (struct arc_span){text + at, head->length - 2 - at};
  while (at < head->length - 2) {
    if (!cut_line(text + at, head->length - at, &len) ||
        !check_field(text + at, len)) {
      return ARC_HEAD_BAD;
    }
    at += len + 2;
  }
  return ARC_HEAD_DONE;
}

static enum arc_head_state parse_part(struct arc_head *head,
                                      const uint8_t *bytes, size_t n) {
  static const char start[] = "HTTP/1.";
  size_t known = n < sizeof start - 1 ? n : sizeof start - 1;
  if (memcmp(bytes, start, known) != 0) {
    return ARC_HEAD_BAD;
  }
  if (n > ARC_HEAD_LINE_MAX && !memchr(bytes, '\n', ARC_HEAD_LINE_MAX)) {
    parse_status(head, (const char *)bytes, ARC_HEAD_LINE_MAX);
    return ARC_HEAD_TOO_LARGE;
  }
  if (n <= ARC_HEAD_MAX) {
    return ARC_HEAD_MORE;
  }
  size_t len;
  if (cut_line((const char *)bytes, n, &len)) {
    parse_status(head, (const char *)bytes, len);
  }
  return ARC_HEAD_TOO_LARGE;
}

enum arc_head_state arc_head_parse(struct arc_head *head, const uint8_t *bytes,
                                   size_t n) {
  size_t limit = n < ARC_HEAD_MAX ? n : ARC_HEAD_MAX;
  const uint8_t *end = NULL;
  if (limit > head->scanned) {
    end = memmem(bytes + head->scanned, limit - head->scanned, "\r\n\r\n", 4);
  }
  head->scanned = limit > 3 ? limit - 3 : 0;
  enum arc_head_state part =
      parse_part(head, bytes, end ? (size_t)(end - bytes) + 4 : n);
  if (!end || part != ARC_HEAD_MORE) {
    return part;
  }
  head->length = (size_t)(end - bytes) + 4;
  return parse_whole(head, (const char *)bytes);
}

bool arc_head_next(const struct arc_head *head, size_t *at,
                   struct arc_span *name, struct arc_span *value) {
  if (*at >= head->fields.len) {
    return false;
  }
  const char *line = head->fields.at + *at;
  const char *end = memchr(line, '\r', head->fields.len - *at);
  const char *colon = memchr(line, ':', (size_t)(end - line));
  *name = (struct arc_span){line, (size_t)(colon - line)};
  *value = trimmed(colon + 1, (size_t)(end - colon - 1));
  *at += (size_t)(end - line) + 2;
  return true;
}

int arc_head_field(const struct arc_head *head, const char *name,
                   struct arc_span *value) {
  struct arc_span key, text;
  size_t at = 0;
  int found = 0;
  while (arc_head_next(head, &at, &key, &text)) {
    if (arc_span_equals(key, name)) {
      *value = text;
      found++;
    }
  }
  return found;
}
