/* SPDX-License-Identifier: MIT */
/* The program: makes a Lua state that carries our Lua files, runs the command
 * line as a task, and turns Ctrl-C into a cancel of that task. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "host/arclua.h"
#include "host/background.h"
#include "host/bundle/bundle.h"
#include "host/signals.h"
#include "lua/lcore.h"
#include "lua/lstate.h"
#include "lua/ltask.h"
#include "net/terminal.h"

/* A signal sent to the process and to its group comes twice at once: that is
 * one press. */
enum { SAME_PRESS_MS = 50, SECOND_PRESS_MS = 2000 };

/* What the signal handler may reach; one program, one host. */
static struct host {
  struct arc_state *state;
  uv_async_t wake;
  struct arc_ready cancel;
  lua_State *L;
  bool targeted; /* the registry holds the task that Ctrl-C is for */
  bool running;  /* the main task is at index 1 of L's stack */
  volatile sig_atomic_t signal; /* the first that asked us to stop */
  volatile int64_t pressed;     /* ms of the last SIGINT */
  struct termios terminal;
  bool terminal_known;
} host;

static int64_t real_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Async-signal-safe. The second press within two seconds leaves at once. */
static void on_signal(int number) {
  int saved = errno;
  int64_t now = real_ms();
  int64_t since = host.pressed ? now - host.pressed : INT64_MAX;
  if (since < SAME_PRESS_MS) {
    return;
  }
  if (number == SIGINT && since < SECOND_PRESS_MS) {
    if (host.terminal_known) {
      tcsetattr(STDIN_FILENO, TCSANOW, &host.terminal);
    }
    arc_terminal_restore();
    _exit(128 + number);
  }
  host.pressed = now;
  if (!host.signal) {
    host.signal = number;
  }
  arc_interrupt(host.state);
  uv_async_send(&host.wake);
  errno = saved;
}

/* A SIGINT for the task of interrupt_to is over with its cancel; any other
 * signal ends the program. */
static void cancel_target(void *arg) {
  (void)arg;
  if (!host.running || !host.signal) {
    return;
  }
  if (host.signal == SIGINT && host.targeted) {
    host.signal = 0;
    lua_rawgetp(host.L, LUA_REGISTRYINDEX, &host);
    arc_cancel_task(host.L, -1);
    lua_pop(host.L, 1);
  } else {
    arc_cancel_task(host.L, 1);
  }
}

/* interrupt_to(task): from now on Ctrl-C cancels this task and the
 * program goes on. One that came before was for the task before. */
static int l_interrupt_to(lua_State *L) {
  lua_settop(L, 1);
  luaL_checktype(L, 1, LUA_TUSERDATA);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host);
  host.targeted = true;
  if (host.signal == SIGINT) {
    host.signal = 0;
  }
  return 0;
}

/* interrupts(on): off, Ctrl-C is for the program that we wait for alone. */
static int l_interrupts(lua_State *L) {
  signal(SIGINT, lua_toboolean(L, 1) ? on_signal : SIG_IGN);
  return 0;
}

/* hangs_up(): whether a SIGHUP ends us; nohup says no. */
static int l_hangs_up(lua_State *L) {
  struct sigaction now;
  sigaction(SIGHUP, NULL, &now);
  lua_pushboolean(L, now.sa_handler != SIG_IGN);
  return 1;
}

static int open_host(lua_State *L) {
  static const luaL_Reg functions[] = {{"interrupt_to", l_interrupt_to},
                                       {"interrupts", l_interrupts},
                                       {"hangs_up", l_hangs_up},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  arc_open_terminal_signals(L);
  arc_open_background(L);
  return 1;
}

static void woken(uv_async_t *wake) {
  (void)wake;
  arc_ready_post(host.state->loop, &host.cancel);
}

static void watch_signals(lua_State *L) {
  struct sigaction action,
      caught = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  host.state = arc_state_of(L);
  host.L = L;
  host.terminal_known = tcgetattr(STDIN_FILENO, &host.terminal) == 0;
  uv_async_init(arc_loop_uv(host.state->loop), &host.wake, woken);
  uv_unref((uv_handle_t *)&host.wake);
  arc_ready_init(&host.cancel, cancel_target, NULL);
  sigaction(SIGINT, &caught, NULL);
  sigaction(SIGTERM, &caught, NULL);
  if (!sigaction(SIGHUP, NULL, &action) && action.sa_handler != SIG_IGN) {
    sigaction(SIGHUP, &caught, NULL); // nohup wants it ignored
  }
  signal(SIGPIPE, SIG_IGN);
}

/* The state goes: from here on a signal ends the process as it would any. */
static void unwatch_signals(void) {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  signal(SIGHUP, SIG_DFL);
  arc_close_terminal_signals();
  uv_close((uv_handle_t *)&host.wake, NULL);
}

/* package.searchers entry: the files that the program carries. */
static int find_bundled(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const struct arc_bundled *at = arc_bundle; at->name; at++) {
    if (!strcmp(at->name, name)) {
      // Another release of liblua may understand compiled code differently.
      bool same = !strcmp(lua_ident, arc_bundle_ident);
      lua_pushfstring(L, "@%s", name);
      if (luaL_loadbufferx(L, (const char *)(same ? at->code : at->text),
                           same ? at->code_length : at->text_length,
                           lua_tostring(L, -1), same ? "b" : "t")) {
        return lua_error(L);
      }
      lua_pushvalue(L, -2);
      return 2;
    }
  }
  lua_pushfstring(L, "no module '%s' in the program", name);
  return 1;
}

/* Ours goes first, so that another installed version does not get mixed in;
 * ARCLUA_LUA=DIR prefers the files of a source tree. */
static void add_searcher(lua_State *L) {
  const char *tree = getenv("ARCLUA_LUA");
  lua_getglobal(L, "package");
  if (tree && *tree) {
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", tree, tree,
                    lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
    return;
  }
  lua_getfield(L, -1, "searchers");
  lua_Integer n = luaL_len(L, -1);
  for (lua_Integer i = n; i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, find_bundled);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}

/* coroutine.wrap and resume that hand a wait on to the task. */
static void replace_coroutines(lua_State *L) {
  static const char *const names[] = {"resume", "wrap"};
  lua_getglobal(L, "coroutine");
  for (int i = 0; i < 2; i++) {
    lua_getfield(L, 1, names[i]);
    lua_setfield(L, -2, names[i]);
  }
  lua_pop(L, 1);
}

static int status_k(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 1;
}

/* Runs as the main task: require("arclua.cli").main(argv). */
static int command_line(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "arclua.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 1, 0, status_k);
  return status_k(L, LUA_OK, 0);
}

static int start_main(lua_State *L) {
  lua_pushcfunction(L, command_line);
  lua_insert(L, -2);
  return arc_spawn(L, 1);
}

/* An error that nothing has caught, our own bug for certain. */
static int complain(lua_State *L) {
  fprintf(stderr, "arclua: %s\n", luaL_tolstring(L, 1, NULL));
  return 0;
}

static void tell_errors(lua_State *L) {
  lua_getfield(L, 1, "on_error");
  lua_pushcfunction(L, complain);
  lua_call(L, 1, 0);
}

/* (argv): the whole program but for the state; returns the exit status. */
static int run(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "arclua.core", luaopen_arclua_core, 0);
  luaL_requiref(L, "arclua.host", open_host, 0);
  lua_pop(L, 1);
  lua_insert(L, 1);
  add_searcher(L);
  replace_coroutines(L);
  tell_errors(L);
  lua_remove(L, 1);
  start_main(L); // leaves the task at 1, where cancel_target finds it
  watch_signals(L);
  host.running = true;
  if (!arc_run_task(L, 1)) {
    return luaL_error(L, "the script waits for something that cannot happen");
  }
  int n = arc_task_results(L, 1);
  if (n < 0) { // the loop's error handler has printed it
    lua_pushinteger(L, 1);
  }
  return 1;
}

static int end(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "arclua.core");
  lua_getfield(L, -1, "shutdown");
  lua_call(L, 0, 0);
  return 0;
}

static int traceback(lua_State *L) {
  const char *text = luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, text, 1);
  return 1;
}

/* The exit status that the command line's result means. */
static int status_of(lua_State *L) {
  if (host.signal) {
    return 128 + (int)host.signal;
  }
  if (lua_isinteger(L, -1)) {
    return (int)lua_tointeger(L, -1) & 0xff;
  }
  return lua_toboolean(L, -1) || lua_isnil(L, -1) ? 0 : 1;
}

/* A standard descriptor that the caller closed becomes /dev/null, or the next
 * socket would take its number and be written to as output. */
static void open_standard(void) {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) {
    close(fd);
  }
}

int main(int argc, char **argv) {
  open_standard();
  lua_State *L = luaL_newstate();
  int status = 1;
  if (!L) {
    fputs("arclua: out of memory\n", stderr);
    return 1;
  }
  lua_pushcfunction(L, traceback);
  lua_pushcfunction(L, run);
  lua_createtable(L, argc, 0);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  if (lua_pcall(L, 1, 1, 1)) {
    fprintf(stderr, "arclua: %s\n", lua_tostring(L, -1));
  } else {
    status = status_of(L);
  }
  host.running = false;
  lua_settop(L, 0);
  lua_pushcfunction(L, end);
  if (lua_pcall(L, 0, 0, 0)) {
    fprintf(stderr, "arclua: %s\n", lua_tostring(L, -1));
  }
  if (host.state) {
    unwatch_signals();
  }
  lua_close(L);
  return status;
}
