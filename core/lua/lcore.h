/* SPDX-License-Identifier: MIT */
#ifndef ARC_LCORE_H
#define ARC_LCORE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "loop/loop.h"
#include "net/stream.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/secret.h"

/* What every binding uses. Functions that take L may raise (style rule 8). */

/* The metatable's name of lists, also empty ones, as JSON has them. */
#define ARC_JSON_ARRAY "arclua.json.array"

/* The loop of this Lua state; made at first use. */
struct arc_loop *arc_getloop(lua_State *L);

/* Waits for op (owned from now on; NULL raises "out of memory") and then
 * calls finish to push the results. To be used as `return arc_await(...)`.
 * On return of a cancelled, timed-out or failed op, op->err is set: finish
 * should begin with `if (op->err) return arc_pushfail(L, op->err);`.
 * op stays alive until finish has returned; take over its results by moving
 * them out. Anything on the stack before the call is still there (below) when
 * finish runs, so userdata that the op needs stay alive. */
typedef int arc_finish(lua_State *L, struct arc_op *op);
int arc_await(lua_State *L, struct arc_op *op, arc_finish *finish);

/* Pushes the error table (shape: design §3) of err (borrowed). */
void arc_pusherror(lua_State *L, const struct arc_err *err);
/* nil, error; returns 2. err is borrowed. */
int arc_pushfail(lua_State *L, const struct arc_err *err);
/* nil, error; returns 2. Takes err over. */
int arc_pushfailnew(lua_State *L, struct arc_err *err);
/* Lua error value -> struct arc_err with one reference (for abort causes). */
struct arc_err *arc_toerror(lua_State *L, int index);

/* One-shot declaration of option tables (style rule 33). Offsets are into a
 * zeroed struct that the caller pre-fills with defaults. */
enum arc_opt_type {
  ARC_OPT_STRING,  /* const char *; the table keeps it alive: leave it on the
                      stack while used */
  ARC_OPT_NUMBER,  /* double */
  ARC_OPT_INTEGER, /* lua_Integer */
  ARC_OPT_BOOLEAN, /* bool */
  ARC_OPT_SECRET,  /* struct arc_secret *, borrowed; a Lua string is refused */
  ARC_OPT_STREAM,  /* int stack-independent: struct arc_stream *, borrowed */
  ARC_OPT_ANY      /* allowed, read by the caller */
};
struct arc_opt {
  const char *name;
  enum arc_opt_type type;
  size_t offset;
  bool required;
  double min, max; /* of numbers; both 0 = any */
};
/* Reads the table at index (nil or none = all defaults); raises on an unknown
 * key, a wrong type, a missing or out-of-range value, naming it. The array
 * ends with a NULL name. */
void arc_checkoptions(lua_State *L, int index, const struct arc_opt *opts,
                      void *into);

/* Streams as userdata "arclua.stream". push takes s over. */
void arc_pushstream(lua_State *L, struct arc_stream *s);
struct arc_stream *arc_checkstream(lua_State *L,
                                   int index); /* open, else raises */
/* As check, and the userdata becomes closed: the caller owns the stream. */
struct arc_stream *arc_takestream(lua_State *L, int index);

/* Secrets as userdata "arclua.secret". push takes a reference over. */
void arc_pushsecret(lua_State *L, struct arc_secret *secret);
struct arc_secret *arc_checksecret(lua_State *L, int index); /* borrowed */
struct arc_secret *arc_tosecret(lua_State *L, int index); /* NULL if not one */

/* A box: userdata of metatable tname holding one pointer, NULL = closed.
 * Make it before acquiring (style rule 19). */
void **arc_newbox(lua_State *L, const char *tname);
/* Registers metatable tname with methods; gc serves __gc, __close and the
 * method "close" (idempotent). */
void arc_newtype(lua_State *L, const char *tname, const luaL_Reg *methods,
                 lua_CFunction gc);

/* Room openers, each adds its functions to the table on top of the stack
 * (arclua.core). Called by luaopen_arclua_core. */
void arc_open_task(lua_State *L);
void arc_open_cond(lua_State *L);
void arc_open_stream(lua_State *L);
void arc_open_socks(lua_State *L);
void arc_open_terminal(lua_State *L);
void arc_open_process(lua_State *L);
void arc_open_secret(lua_State *L);
void arc_open_sys(lua_State *L);
void arc_open_http(lua_State *L);
void arc_open_azure(lua_State *L);
void arc_open_relay(lua_State *L);
void arc_open_ssh(lua_State *L);
void arc_open_sftp(lua_State *L);
void arc_open_local(lua_State *L);
void arc_open_crypto(lua_State *L);
void arc_open_server(lua_State *L);
void arc_open_bridge(lua_State *L);  /* adds to the table of server */
void arc_open_control(lua_State *L); /* likewise */

#endif
