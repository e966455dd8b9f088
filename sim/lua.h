/* SPDX-License-Identifier: MIT
 *
 * sim/lua.h - what the files sim/lua*.c share: the generator from inside, and the functions that
 * put the words of Lua files into their state. Inside the generator only. Functions that take a
 * lua_State may leave by an error of Lua, so they hold nothing that Lua does not own.
 *
 * One thread.
 */
#ifndef SHOAL_SIM_LUA_H
#define SHOAL_SIM_LUA_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "sim/generate.h"

/* A declared parameter; texts are owned. */
typedef struct shoal_lua_parameter {
    char *name, *value, *doc;
    bool given;
} shoal_lua_parameter;

/* A reaction: what it waits for. Its function and its filter are in Lua's registry. */
typedef struct shoal_lua_hook {
    uint32_t kind; /* shoal_trace_kind */
    int64_t after_us;
    uint64_t left; /* how often it still may react */
    int filter;    /* reference of a table, or LUA_NOREF */
    int function;  /* reference */
} shoal_lua_hook;

/* What a node is called by other nodes. */
typedef struct shoal_lua_name {
    char name[SHOAL_NODE_NAME_LEN];
    uint32_t node; /* index */
} shoal_lua_name;

/* A generator from inside. */
struct shoal_generator {
    shoal_generator_options options;
    lua_State *lua;
    size_t memory_used;
    uint64_t instructions;
    bool exhausted; /* the budget is gone: nothing runs any more */
    char error[1024];

    uint64_t seed;
    bool seed_fixed; /* it was used: no seed() any more */
    char *about;
    shoal_lua_parameter parameters[SHOAL_GENERATOR_PARAMETERS_MAX];
    uint32_t parameter_count;

    shoal_schedule_builder *builder; /* while the file runs */
    uint32_t *origins;               /* line of the file for each line of the builder */
    uint32_t origin_count, origin_capacity;

    const shoal_schedule *schedule; /* while a world runs: what the file has written */
    int64_t now_us;
    shoal_lua_hook *hooks;
    uint32_t hook_count, hook_capacity;
    shoal_lua_name *names; /* of nodes, as they got ready */
    uint32_t name_count, name_capacity;
    shoal_line **late; /* what reactions wrote; owned */
    uint32_t late_count, late_capacity;
    uint64_t told; /* hash of what the run with reactions told */
};

/* The generator of a state. */
shoal_generator *shoal_lua__self(lua_State *lua);

/* The words of the files, put into the table of globals. */
void shoal_lua__open_base(lua_State *lua);   /* what is left of Lua's own, and what replaces it */
void shoal_lua__open_random(lua_State *lua); /* random("name") */
void shoal_lua__open_lines(lua_State *lua);  /* at, cluster, say, ... */
void shoal_lua__open_when(lua_State *lua);

/* Calls the function below its arguments on the stack, without results. False, and the error kept,
 * when it failed. */
bool shoal_lua__call(shoal_generator *generator, int arguments);

/* A whole number at `index` of the stack, or an error that says what `what` must be. */
int64_t shoal_lua__whole(lua_State *lua, int index, const char *what);
/* Is the number a whole one that a double holds exactly? */
bool shoal_lua__is_whole(lua_Number number);
/* Like luaL_error, with the place of the caller. */
int shoal_lua__fail(lua_State *lua, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* string.format, for whole numbers, texts and booleans only: pushes the text made from the format
 * at `index` and what follows it. */
void shoal_lua__format(lua_State *lua, int index);

/* A time or duration at `index`: microseconds, or a text such as "1.5s". */
int64_t shoal_lua__time(lua_State *lua, int index);

/* Runs a world with the schedule and lets the file react; what it writes meanwhile is in `late`.
 * False, and the error kept, when a reaction failed. sim/when.c. */
bool shoal_lua__react(shoal_generator *generator);
/* Runs a world with the whole schedule and without reactions: it must tell the same. */
bool shoal_lua__confirm(shoal_generator *generator, const shoal_schedule *schedule);
/* A record of the world, offered to the reactions; false when one failed. */
bool shoal_lua__hear(shoal_generator *generator, const shoal_trace_entry *entry);

#endif
