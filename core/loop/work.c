/* SPDX-License-Identifier: MIT */
#include "loop/work.h"

#include <stdlib.h>

#include "util/err.h"

struct job;

struct work_op {
  struct arc_op op;
  struct arc_op_class cls; /* with the name of this one */
  struct job *job;         /* NULL: it has left the job alone */
};

struct job {
  uv_work_t request;
  struct arc_loop *loop;
  struct arc_work *work;
  struct work_op *op; /* NULL: nobody waits */
  bool ran;
};

static void free_job(struct job *job) {
  job->work->free(job->work);
  free(job);
}

static void run(uv_work_t *request) {
  struct job *job = request->data;
  job->work->run(job->work);
}

static void done(uv_work_t *request, int status) {
  (void)status; // nothing is ever cancelled there
  struct job *job = request->data;
  arc_loop_count(job->loop, ARC_N_LINGERS, -1);
  job->ran = true;
  if (job->op) {
    arc_op_finish(&job->op->op, NULL);
  } else {
    free_job(job);
  }
}

static void detach(struct arc_op *op) {
  struct work_op *w = (struct work_op *)op;
  if (w->job) {
    w->job->op = NULL;
    w->job = NULL;
  }
}

static void destroy(struct arc_op *op) {
  struct work_op *w = (struct work_op *)op;
  if (w->job) {
    free_job(w->job);
  }
  free(w);
}

struct arc_op *arc_work_start(struct arc_loop *loop, const char *name,
                              struct arc_work *work) {
  const struct arc_op_class first = {.name = name};
  struct work_op *w = arc_op_new(loop, &first, sizeof *w, ARC_FOREVER);
  struct job *job = w ? calloc(1, sizeof *job) : NULL;
  if (!job) {
    arc_op_free(w ? &w->op : NULL);
    work->free(work);
    return NULL;
  }
  w->cls =
      (struct arc_op_class){.name = name, .detach = detach, .destroy = destroy};
  w->op.cls = &w->cls;
  *job = (struct job){.loop = loop, .work = work, .op = w};
  job->request.data = job;
  int rc = uv_queue_work(arc_loop_uv(loop), &job->request, run, done);
  if (rc) {
    free_job(job);
    arc_op_finish(&w->op, arc_err_errno(rc, "start a thread"));
    return &w->op;
  }
  w->job = job;
  arc_loop_count(loop, ARC_N_LINGERS, 1);
  return &w->op;
}

struct arc_work *arc_work_of(struct arc_op *op) {
  return ((struct work_op *)op)->job->work;
}
