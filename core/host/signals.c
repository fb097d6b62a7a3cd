/* SPDX-License-Identifier: MIT */
/* Signals about the terminal, which only a program of its own may handle: its
 * size has changed, we are stopped and go on, we die. */
#include "host/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <uv.h>

#include "lua/lcore.h"
#include "net/terminal.h"

struct signal_op {
  struct arc_op op;
  const char *name;
};

/* What the handlers may reach; one program, one host. */
static struct {
  struct arc_loop *loop; /* NULL: not watching */
  uv_async_t wake;
  struct arc_ready ready;
  struct signal_op *waiter;
  volatile sig_atomic_t resized, continued;
} watch;

static void handle(int number, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigaction(number, &action, NULL);
}

static void on_note(int number) {
  int saved = errno;
  *(number == SIGCONT ? &watch.continued : &watch.resized) = 1;
  uv_async_send(&watch.wake);
  errno = saved;
}

static void on_fatal(int number) {
  arc_terminal_restore();
  raise(number); // once we have returned, with its default effect
}

/* Stops the process with its terminal in order; returns when it goes on. */
static void stop_self(void) {
  sigset_t stop, before;
  struct sigaction action, by_default = {.sa_handler = SIG_DFL};
  arc_terminal_restore();
  sigaction(SIGTSTP, &by_default, &action);
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  pthread_sigmask(SIG_UNBLOCK, &stop, &before);
  raise(SIGTSTP);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  sigaction(SIGTSTP, &action, NULL);
}

static void on_stop(int number) {
  (void)number;
  int saved = errno;
  stop_self();
  errno = saved;
}

static void deliver(void *arg) {
  (void)arg;
  struct signal_op *op = watch.waiter;
  volatile sig_atomic_t *noted =
      watch.continued ? &watch.continued : &watch.resized;
  if (op && *noted) {
    op->name = noted == &watch.continued ? "CONT" : "WINCH";
    *noted = 0;
    watch.waiter = NULL;
    arc_op_finish(&op->op, NULL);
  }
}

static void woken(uv_async_t *wake) {
  (void)wake;
  arc_ready_post(watch.loop, &watch.ready);
}

static void start_watching(struct arc_loop *loop) {
  static const int fatal[] = {SIGQUIT, SIGABRT,
#ifndef __SANITIZE_ADDRESS__ // which reports these itself
                              SIGSEGV, SIGBUS
#endif
  };
  struct sigaction old;
  watch.loop = loop;
  uv_async_init(arc_loop_uv(loop), &watch.wake, woken);
  uv_unref((uv_handle_t *)&watch.wake);
  arc_ready_init(&watch.ready, deliver, NULL);
  handle(SIGWINCH, on_note, SA_RESTART);
  handle(SIGCONT, on_note, SA_RESTART);
  if (!sigaction(SIGTSTP, NULL, &old) && old.sa_handler != SIG_IGN) {
    handle(SIGTSTP, on_stop, SA_RESTART);
  }
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
    if (!sigaction(fatal[i], NULL, &old) && old.sa_handler != SIG_IGN) {
      handle(fatal[i], on_fatal, (int)SA_RESETHAND);
    }
  }
}

static void detach(struct arc_op *op) {
  (void)op;
  watch.waiter = NULL;
}

static int arrived(lua_State *L, struct arc_op *op) {
  if (op->err) {
    return arc_pushfail(L, op->err);
  }
  lua_pushstring(L, ((struct signal_op *)op)->name);
  return 1;
}

/* terminal_signal(): waits for "WINCH" or "CONT". */
static int l_terminal_signal(lua_State *L) {
  static const struct arc_op_class cls = {.name = "terminal_signal",
                                          .detach = detach};
  struct arc_loop *loop = arc_getloop(L);
  if (watch.waiter) {
    return luaL_error(L, "another task is waiting for the terminal's signals");
  }
  if (!watch.loop) {
    start_watching(loop);
  }
  watch.waiter = arc_op_new(loop, &cls, sizeof *watch.waiter, ARC_FOREVER);
  if (watch.waiter) {
    arc_ready_post(loop, &watch.ready);
  }
  return arc_await(L, watch.waiter ? &watch.waiter->op : NULL, arrived);
}

/* suspend(): stops the program as Ctrl-Z would; returns when it goes on. */
static int l_suspend(lua_State *L) {
  (void)L;
  stop_self();
  return 0;
}

void arc_open_terminal_signals(lua_State *L) {
  static const luaL_Reg functions[] = {{"terminal_signal", l_terminal_signal},
                                       {"suspend", l_suspend},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}

void arc_close_terminal_signals(void) {
  if (watch.loop) {
    handle(SIGWINCH, SIG_DFL, 0);
    handle(SIGCONT, SIG_DFL, 0);
    handle(SIGTSTP, SIG_DFL, 0);
    arc_ready_cancel(watch.loop, &watch.ready);
    uv_close((uv_handle_t *)&watch.wake, NULL);
    watch.loop = NULL;
  }
}
