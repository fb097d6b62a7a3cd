/* SPDX-License-Identifier: MIT */
#include "net/http.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "net/curlerr.h"
#include "util/err.h"

enum { HEADERS_MAX = 64 * 1024 };

static size_t on_body(char *data, size_t size, size_t n, void *arg) {
  struct arc_http_op *http = arg;
  size_t len = size * n;
  if (len > http->max_body - arc_buf_len(&http->body)) {
    http->too_large = true;
    return 0;
  }
  http->no_memory = !arc_buf_append(&http->body, data, len);
  return http->no_memory ? 0 : len;
}

static size_t trim(const char **text, size_t len) {
  while (len && isspace((unsigned char)**text)) {
    ++*text;
    len--;
  }
  while (len && isspace((unsigned char)(*text)[len - 1])) {
    len--;
  }
  return len;
}

static bool keep_header(struct arc_http_op *http, const char *line,
                        size_t n_name, size_t len) {
  const char *value = line + n_name + 1;
  size_t n_value = trim(&value, len - n_name - 1);
  char *to = (char *)arc_buf_reserve(&http->headers, n_name + n_value + 2);
  if (!to) {
    return false;
  }
  for (size_t i = 0; i < n_name; i++) {
    to[i] = (char)tolower((unsigned char)line[i]);
  }
  to[n_name] = '\0';
  memcpy(to + n_name + 1, value, n_value);
  to[n_name + 1 + n_value] = '\0';
  arc_buf_commit(&http->headers, n_name + n_value + 2);
  return true;
}

/* RFC 9110 §5.5: no NUL, and a CR only in the line's end. */
static bool is_field(const char *line, size_t len) {
  const char *cr = memchr(line, '\r', len);
  size_t end = cr ? (size_t)(cr - line) : len;
  return !memchr(line, '\0', len) && len - end <= 2 &&
         (len - end < 2 || line[len - 1] == '\n');
}

/* curl hands over whole lines, also of 1xx answers before the real one. */
static size_t on_header(char *line, size_t size, size_t n, void *arg) {
  struct arc_http_op *http = arg;
  size_t len = size * n;
  const char *colon = memchr(line, ':', len);
  if (len > 5 && !strncmp(line, "HTTP/", 5)) {
    arc_buf_free(&http->headers);
  } else if (len > HEADERS_MAX - arc_buf_len(&http->headers)) {
    http->too_large = true;
    return 0;
  } else if (colon && is_field(line, len)) {
    size_t n_name = (size_t)(colon - line);
    http->no_memory = !keep_header(http, line, n_name, len);
  }
  return http->no_memory ? 0 : len;
}

static void finished(void *arg, struct arc_err *err) {
  struct arc_http_op *http = arg;
  long status = 0;
  curl_easy_getinfo(http->dial.transfer.easy, CURLINFO_RESPONSE_CODE, &status);
  http->status = (int)status;
  if (err && http->too_large) {
    arc_err_unref(err);
    err = arc_err_reason("http.too-large", "%s sent more than %zu bytes",
                         http->dial.host, http->max_body);
  } else if (err && http->no_memory) {
    arc_err_unref(err);
    err = arc_err_new(ARC_E_NOMEM, "out of memory");
  } else if (!err && http->status < 100) { // of a status line like HTTP/21.1
    err = arc_err_reason("http.bad-answer", "%s: no status came",
                         http->dial.host);
  }
  arc_op_finish(&http->op, err);
}

static void wipe_lines(struct curl_slist *lines) {
  for (struct curl_slist *line = lines; line; line = line->next) {
    explicit_bzero(line->data, strlen(line->data));
  }
  curl_slist_free_all(lines);
}

static void detach(struct arc_op *op) {
  arc_dial_close(&((struct arc_http_op *)op)->dial);
}

static void destroy(struct arc_op *op) {
  struct arc_http_op *http = (struct arc_http_op *)op;
  arc_dial_close(&http->dial);
  wipe_lines(http->lines);
  arc_buf_free(&http->body);
  arc_buf_free(&http->headers);
  arc_buf_free(&http->sent);
  free(http);
}

static bool is_token(const char *text) {
  size_t n = strspn(text, "!#$%&'*+-.^_`|~0123456789"
                          "abcdefghijklmnopqrstuvwxyz"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  return n && !text[n];
}

static bool has_line_break(const char *text) { return strpbrk(text, "\r\n"); }

static bool add_line(struct arc_http_op *http, const char *line) {
  struct curl_slist *lines = curl_slist_append(http->lines, line);
  http->lines = lines ? lines : http->lines;
  return lines;
}

static struct arc_err *add_header(struct arc_http_op *http,
                                  const struct arc_http_header *header) {
  const char *value = header->bearer ? header->bearer->bytes : header->value;
  if (!is_token(header->name) || has_line_break(value) ||
      (header->prefix && has_line_break(header->prefix)) ||
      (header->bearer && strlen(value) != header->bearer->len)) {
    return arc_err_new(ARC_E_CONFIG,
                       "header %s cannot be sent: a line break, "
                       "NUL or odd character is in it",
                       header->name);
  }
  // curl's own spelling of a header without a value is "Name;"
  const char *glue = header->bearer || *value ? ": " : ";";
  const char *prefix = !header->bearer  ? ""
                       : header->prefix ? header->prefix
                                        : "Bearer ";
  struct arc_buf line = {.secret = true};
  bool ok = arc_buf_text(&line, header->name) && arc_buf_text(&line, glue) &&
            arc_buf_text(&line, prefix) &&
            arc_buf_append(&line, value, strlen(value) + 1) &&
            add_line(http, (const char *)arc_buf_head(&line));
  arc_buf_free(&line);
  return ok ? NULL : arc_err_new(ARC_E_NOMEM, "out of memory");
}

static bool gives_header(const struct arc_http_request *request,
                         const char *name) {
  for (size_t i = 0; i < request->n_headers; i++) {
    if (!strcasecmp(request->headers[i].name, name)) {
      return true;
    }
  }
  return false;
}

static struct arc_err *add_headers(struct arc_http_op *http,
                                   const struct arc_http_request *request) {
  for (size_t i = 0; i < request->n_headers; i++) {
    struct arc_err *err = add_header(http, &request->headers[i]);
    if (err) {
      return err;
    }
  }
  bool ok = add_line(http, "Expect:") &&
            (gives_header(request, "user-agent") ||
             add_line(http, "User-Agent: arclua/" ARCLUA_VERSION)) &&
            (!request->body || gives_header(request, "content-type") ||
             add_line(http, "Content-Type:"));
  return ok ? NULL : arc_err_new(ARC_E_NOMEM, "out of memory");
}

static struct arc_err *set_method(struct arc_http_op *http,
                                  const struct arc_http_request *request) {
  CURL *easy = http->dial.transfer.easy;
  const char *method = request->method ? request->method : "GET";
  if (!is_token(method)) {
    return arc_err_new(ARC_E_CONFIG, "'%s' is not an HTTP method", method);
  }
  if (request->body) {
    if (!arc_buf_append(&http->sent, request->body, request->n_body)) {
      return arc_err_new(ARC_E_NOMEM, "out of memory");
    }
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)request->n_body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, arc_buf_head(&http->sent));
  } else if (!strcmp(method, "HEAD")) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
  return NULL;
}

static struct arc_err *prepare(struct arc_http_op *http,
                               const struct arc_http_request *request) {
  struct arc_err *err =
      arc_dial_open(&http->dial, http->op.loop,
                    request->ca ? ARC_MULTI_HTTP_CA : ARC_MULTI_HTTP,
                    request->url, request->ca, request->connect_timeout);
  if (err || (err = set_method(http, request)) ||
      (err = add_headers(http, request))) {
    return err;
  }
  CURL *easy = http->dial.transfer.easy;
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->lines);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)request->fresh);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
  if (request->compressed) {
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  }
  return NULL;
}

struct arc_op *arc_http_request(struct arc_loop *loop,
                                const struct arc_http_request *request) {
  static const struct arc_op_class http_class = {
      .name = "http.request", .detach = detach, .destroy = destroy};
  struct arc_http_op *http =
      arc_op_new(loop, &http_class, sizeof *http, request->deadline);
  if (!http) {
    return NULL;
  }
  http->max_body = request->max_body;
  http->body.secret = request->secret;
  http->sent.secret = true;
  http->dial.done = finished;
  http->dial.arg = http;
  struct arc_err *err = prepare(http, request);
  if (err) {
    arc_op_finish(&http->op, err);
  } else {
    arc_dial_start(&http->dial);
  }
  return &http->op;
}

bool arc_http_next_header(const struct arc_http_op *http, size_t *at,
                          const char **name, const char **value) {
  if (*at >= arc_buf_len(&http->headers)) {
    return false;
  }
  *name = (const char *)arc_buf_head(&http->headers) + *at;
  *value = *name + strlen(*name) + 1;
  *at += strlen(*name) + strlen(*value) + 2;
  return true;
}

const char *arc_http_header(const struct arc_http_op *http, const char *name) {
  const char *found = NULL;
  const char *key, *value;
  size_t at = 0;
  while (arc_http_next_header(http, &at, &key, &value)) {
    found = strcmp(key, name) ? found : value;
  }
  return found;
}

static bool all_digits(const char *text) {
  size_t n = strspn(text, "0123456789");
  return n && n < 12 && !text[n];
}

static double date_from_now(const struct arc_http_op *http, const char *text) {
  time_t when = curl_getdate(text, NULL);
  double wait = (double)when - arc_loop_time(http->op.loop);
  return when < 0 ? -1 : fmax(wait, 0);
}

double arc_http_retry_after(const struct arc_http_op *http) {
  static const char *const in_ms[] = {"retry-after-ms", "x-ms-retry-after-ms"};
  for (size_t i = 0; i < 2; i++) {
    const char *ms = arc_http_header(http, in_ms[i]);
    if (ms && all_digits(ms)) {
      return strtod(ms, NULL) / 1000;
    }
  }
  const char *text = arc_http_header(http, "retry-after");
  if (!text) {
    return -1;
  }
  return all_digits(text) ? strtod(text, NULL) : date_from_now(http, text);
}
