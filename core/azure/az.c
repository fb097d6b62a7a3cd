/* SPDX-License-Identifier: MIT */
#include "azure/az.h"

#include <stdlib.h>
#include <string.h>

#include "azure/claims.h"
#include "azure/expiry.h"
#include "azure/json.h"
#include "loop/process.h"
#include "net/fdstream.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/secretenv.h"

enum {
  OUT_MAX = 1024 * 1024,
  ERR_MAX = 64 * 1024,
  CHUNK = 16 * 1024,
  CHUNKS_MAX = 16, /* then others have their turn */
  EXCERPT = 2000
};

struct az_op;

/* One of the command's outputs. */
struct output {
  struct az_op *az;
  struct arc_stream *stream; /* NULL: at its end */
  struct arc_buf text;
  size_t max;
  bool cut; /* there was more than max */
};

struct az_op {
  struct arc_op op;
  struct arc_process *process;
  struct arc_op *wait; /* NULL: the process has ended */
  struct output out, err;
  struct arc_token token;
};

static void detach(struct arc_op *op) {
  struct az_op *az = (struct az_op *)op;
  arc_stream_abort(az->out.stream, NULL);
  arc_stream_abort(az->err.stream, NULL);
  az->out.stream = az->err.stream = NULL;
  arc_op_free(az->wait);
  az->wait = NULL;
  if (az->process) {
    arc_process_close(az->process);
    az->process = NULL;
  }
}

static void destroy(struct arc_op *op) {
  struct az_op *az = (struct az_op *)op;
  detach(op);
  arc_buf_free(&az->out.text);
  arc_buf_free(&az->err.text);
  arc_token_clear(&az->token);
  free(az);
}

static char *copy_text(const json_t *answer, const char *key) {
  const char *text = arc_json_text(answer, key);
  return text ? strdup(text) : NULL;
}

static bool read_token(struct az_op *az, const json_t *answer) {
  struct arc_token *token = &az->token;
  const char *text = arc_json_text(answer, "accessToken");
  text = text ? text : arc_json_text(answer, "token"); /* of azd */
  double now = arc_loop_time(az->op.loop);
  if (!text || !*text ||
      !arc_expiry_read(answer, now, true, &token->expires_on)) {
    return false;
  }
  token->refresh_on = -1;
  token->secret = arc_secret_new(text, strlen(text));
  token->type = copy_text(answer, "tokenType");
  token->tenant = copy_text(answer, "tenant");
  token->subscription = copy_text(answer, "subscription");
  return token->secret;
}

/* The message of a line {"type":"consoleMessage","data":{"message":...}}, by
 * which azd says what is wrong; NULL: another line. To be freed. */
static char *console_message(const char *line, size_t n) {
  json_t *value = n && *line == '{' ? arc_json_secret(line, n) : NULL;
  char *text = copy_text(json_object_get(value, "data"), "message");
  arc_json_wipe(value);
  return text;
}

static bool add_messages(struct arc_buf *to, const struct arc_buf *from) {
  const char *at = (const char *)arc_buf_head(from);
  size_t left = arc_buf_len(from);
  bool found = false;
  while (left) {
    const char *end = memchr(at, '\n', left);
    size_t n = end ? (size_t)(end - at) : left;
    char *text = console_message(at, n);
    found |= text && arc_buf_text(to, text) && arc_buf_text(to, "\n");
    free(text);
    n += end != NULL;
    at += n;
    left -= n;
  }
  return found;
}

/* Without the blanks around it, tokens blanked out. */
static struct arc_err *say(struct arc_buf *text, const char *what) {
  size_t n = arc_buf_len(text);
  const char *said = (const char *)arc_buf_head(text);
  if (n) {
    arc_claims_redact((char *)text->data + text->start, n);
  }
  for (; n && strchr(" \r\n", *said); n--) {
    said++;
  }
  while (n && strchr(" \r\n", said[n - 1])) {
    n--;
  }
  n = n < EXCERPT ? n : EXCERPT;
  return arc_err_reason("cred.az-failed", "the command %s%s%.*s", what,
                        n ? ": " : "", (int)n, n ? said : "");
}

static struct arc_err *failure(struct az_op *az, const char *what) {
  struct arc_buf messages = {.secret = true};
  bool any = add_messages(&messages, &az->err.text);
  any |= add_messages(&messages, &az->out.text);
  struct arc_err *err = say(any ? &messages : &az->err.text, what);
  arc_buf_free(&messages);
  return err;
}

/* What is no JSON object: its first line is worth seeing. */
static struct arc_err *noise(struct az_op *az) {
  const struct arc_buf *text = &az->out.text;
  const char *said = (const char *)arc_buf_head(text);
  size_t n = arc_buf_len(text);
  bool json = n && memmem(said, n, "\n{", 2);
  const char *end = n ? memchr(said, '\n', n) : NULL;
  struct arc_buf first = {.secret = true};
  arc_buf_append(&first, said, end ? (size_t)(end - said) : n);
  struct arc_err *err =
      json ? say(&first, "printed other text before its JSON")
           : say(n ? &first : &az->err.text, "printed no JSON");
  arc_buf_free(&first);
  if (json && err->refs) {
    err->remedy = "let it print JSON alone: az config set "
                  "core.only_show_errors=yes auto-upgrade.enable=no; look for "
                  "a wrapper script in PATH";
  }
  return err;
}

static struct arc_err *judge(struct az_op *az) {
  int status = arc_process_status(az->process);
  if (status == 127) { // what a launcher answers when az itself is absent
    return arc_err_new(ARC_E_NOTFOUND, "the command was not found");
  }
  if (status != 0) {
    return failure(az, "failed");
  }
  if (az->out.cut) {
    return arc_err_reason("cred.az-failed",
                          "the command printed more than 1 MiB");
  }
  json_t *answer = arc_json_secret((const char *)arc_buf_head(&az->out.text),
                                   arc_buf_len(&az->out.text));
  bool object = json_is_object(answer);
  bool good = object && read_token(az, answer);
  arc_json_wipe(answer);
  return good     ? NULL
         : object ? failure(az, "gave no token with its expiry")
                  : noise(az);
}

static void check_end(struct az_op *az) {
  if (!az->wait && !az->out.stream && !az->err.stream) {
    struct arc_err *err = judge(az);
    arc_wipe_stack();
    detach(&az->op);
    arc_op_finish(&az->op, err);
  }
}

static void on_output(void *arg) {
  struct output *output = arg;
  for (int chunks = 0;; chunks++) {
    char chunk[CHUNK];
    ssize_t n = chunks < CHUNKS_MAX
                    ? arc_stream_read(output->stream, chunk, sizeof chunk)
                    : ARC_AGAIN;
    if (n == ARC_AGAIN) {
      arc_stream_want_read(output->stream, on_output, output);
      return;
    }
    size_t room = output->max - arc_buf_len(&output->text);
    if (n <= 0) {
      break;
    }
    output->cut |= (size_t)n > room;
    arc_buf_append(&output->text, chunk, (size_t)n < room ? (size_t)n : room);
    explicit_bzero(chunk, (size_t)n);
  }
  arc_stream_close(output->stream);
  output->stream = NULL;
  check_end(output->az);
}

static void ended(struct arc_op *op, void *arg) {
  struct az_op *az = arg;
  arc_op_free(op);
  az->wait = NULL;
  check_end(az);
}

static bool open_output(struct az_op *az, struct output *output, int which,
                        size_t max) {
  output->az = az;
  output->max = max;
  output->text.secret = true;
  output->stream = arc_fdstream_new(
      az->op.loop, arc_process_take_fd(az->process, which), -1, "command");
  if (output->stream) {
    arc_stream_want_read(output->stream, on_output, output);
  }
  return output->stream;
}

static struct arc_err *start(struct az_op *az, char *const *args) {
  char **env = arc_secretenv_without_own();
  const struct arc_spawn how = {
      .args = args,
      .env = env,
      .cwd = "/", // no program of the current directory
      .io = {ARC_STDIO_NULL, ARC_STDIO_PIPE, ARC_STDIO_PIPE},
      .session = true};
  struct arc_err *err = NULL;
  if (env) {
    az->process = arc_process_spawn(az->op.loop, &how, &err);
  } else {
    err = arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  free(env);
  if (!az->process) {
    return err;
  }
  az->wait = arc_process_wait(az->process);
  if (!az->wait || !open_output(az, &az->out, 1, OUT_MAX) ||
      !open_output(az, &az->err, 2, ERR_MAX)) {
    detach(&az->op);
    return arc_err_new(ARC_E_NOMEM, "out of memory");
  }
  az->wait->notify = ended;
  az->wait->notify_arg = az;
  return NULL;
}

struct arc_op *arc_az_token(struct arc_loop *loop, char *const *args,
                            int64_t deadline) {
  static const struct arc_op_class az_class = {
      .name = "token.command", .detach = detach, .destroy = destroy};
  struct az_op *az = arc_op_new(loop, &az_class, sizeof *az, deadline);
  if (!az) {
    return NULL;
  }
  struct arc_err *err = start(az, args);
  if (err) {
    arc_op_finish(&az->op, err);
  }
  return &az->op;
}

struct arc_token *arc_az_token_of(struct arc_op *op) {
  return &((struct az_op *)op)->token;
}
