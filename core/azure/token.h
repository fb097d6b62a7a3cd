/* SPDX-License-Identifier: MIT */
#ifndef ARC_TOKEN_H
#define ARC_TOKEN_H

#include "loop/loop.h"
#include "net/http.h"
#include "util/secret.h"

struct arc_sshcert;
struct arc_sshkey;

struct arc_form_field {
  const char *name;
  const char *value; /* n bytes */
  size_t n;
  bool secret; /* an error that repeats it has stars instead */
};

/* Borrowed for the call only. */
struct arc_token_request {
  const char *url;
  const struct arc_form_field *fields; /* NULL: a GET */
  size_t n_fields;
  const struct arc_http_header *headers; /* besides the usual ones */
  size_t n_headers;
  bool assertion; /* asks for {"value": token}, as GitHub's service gives */
  const char *ca;
  int64_t deadline;
  bool device;                /* the answer is a device code */
  struct arc_sshkey *certify; /* the answer is its SSH certificate; or NULL */
};

/* What a token endpoint, or a command, has given. Of a device code, secret and
 * expires_on are the code's. */
struct arc_token {
  struct arc_secret *secret;
  struct arc_secret *refresh_token; /* or NULL */
  struct arc_secret *id_token;      /* or NULL */
  double expires_on;
  double refresh_on;                            /* negative = not given */
  char *type, *scope;                           /* or NULL */
  char *tenant, *subscription;                  /* of az; or NULL */
  char *user_code, *verification_uri, *message; /* of a device code; or NULL */
  double interval;                              /* likewise, seconds */
  /* Whose token it is, as services of managed identities say; or NULL. */
  char *client_id, *object_id, *msi_res_id;
  double skew; /* seconds that our clock is ahead of the server's; 0: unknown */
  char *claims;         /* of a refusal: what a new sign-in must bring, JSON */
  char *correlation_id; /* of a refusal */
  struct arc_sshcert *certificate; /* instead of secret; or NULL */
  struct arc_sshkey *certified;    /* its key */
};
void arc_token_clear(struct arc_token *token);

/* One POST of a form, or GET. The request and the answer are wiped. NULL
 * without memory. */
struct arc_op *arc_token_request(struct arc_loop *loop,
                                 const struct arc_token_request *request);
/* The token of an op that succeeded, which owns it. */
struct arc_token *arc_token_of(struct arc_op *op);

struct arc_token_answer {
  int status;
  const char *body;
  size_t n;
  double skew; /* as of arc_token */
};

/* Reads an answer that came with status 200, as what request asked for (but no
 * certificate) at `asked` (seconds since 1970). NULL, or why it is no such
 * thing; *into is to be cleared in both cases. Pure. */
struct arc_err *arc_token_read(const struct arc_token_request *request,
                               const char *body, size_t n, double asked,
                               struct arc_token *into);
/* The error of an answer that is not a token (azure/tokenerr.c). Pure; claims
 * and correlation_id go into `into`. */
struct arc_err *arc_token_refusal(const struct arc_token_answer *answer,
                                  struct arc_token *into);
/* The same by a clock that is right, without the rest. */
struct arc_err *arc_token_error(int status, const char *body, size_t n);

#endif
