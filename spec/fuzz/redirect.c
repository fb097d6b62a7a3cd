/* SPDX-License-Identifier: MIT */
/* What comes to the loopback port of a browser's sign-in. */
#include "fuzz.h"

#include "azure/redirect.h"

enum { PORT = 8400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arc_secret *head = arc_secret_new(data, size);
  struct arc_secret *code = NULL;
  struct arc_err *err = NULL;
  DEMAND(head);
  int status = arc_redirect_read(head, PORT, "st&te", &code, &err);
  DEMAND(status == 200 || status == 400 || status == 404 || status == 405);
  DEMAND((status == 200) == (code || err));
  DEMAND(!code || !err);
  if (status == 200) { // the state, as only whoever was sent it can know
    DEMAND(memmem(data, size, "st%26te", 7) || memmem(data, size, "%", 1));
    DEMAND(memmem(data, size, ":8400", 5));
  }
  if (code) {
    DEMAND(code->len && code->len < size);
  }
  if (err) {
    fuzz_check_error(err);
    DEMAND(err->reason);
  }
  arc_err_unref(err);
  arc_secret_unref(code);
  arc_secret_unref(head);
  return 0;
}
