/* SPDX-License-Identifier: MIT
 *
 * The words with which generators write lines: each line goes through the parser of schedules at
 * once, so that an error names the line of the Lua file, the line that was written, and what would
 * have fitted.
 */
#include "sim/lua.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/lines.h"
#include "sim/memory.h"

/* ---- times ---- */

/* Reads a duration; false and an error's words when it is none. */
static bool read_time(const char *text, int64_t *out_us, shoal_schedule_error *error)
{
    shoal_words words = {.line = text, .size = strlen(text), .number = 1, .error = error};
    return shoal_words__duration(&words, out_us) && shoal_words__done(&words);
}

int64_t shoal_lua__time(lua_State *lua, int index)
{
    shoal_schedule_error error;
    int64_t us = 0;
    if (lua_type(lua, index) != LUA_TSTRING) {
        return shoal_lua__whole(lua, index, "a time (a text such as \"1.5s\", or microseconds)");
    }
    if (read_time(lua_tostring(lua, index), &us, &error)) return us;
    shoal_lua__fail(lua, "%s", error.message);
    return 0;
}

/* us("1.5s") is 1500000 */
static int line_us(lua_State *lua)
{
    lua_pushnumber(lua, (lua_Number)shoal_lua__time(lua, 1));
    return 1;
}

/* Writes a time as schedules do: the largest unit without a fraction. */
static void put_time(lua_State *lua, int64_t us, char out[32])
{
    if (us < 0) shoal_lua__fail(lua, "a time is not below zero");
    const char *unit = us % 1000000 == 0 ? "s" : us % 1000 == 0 ? "ms" : "us";
    int64_t count = us % 1000000 == 0 ? us / 1000000 : us % 1000 == 0 ? us / 1000 : us;
    snprintf(out, 32, "%lld%s", (long long)count, unit);
}

/* time(1500000) is "1500ms" */
static int line_time(lua_State *lua)
{
    char text[32];
    put_time(lua, shoal_lua__time(lua, 1), text);
    lua_pushstring(lua, text);
    return 1;
}

/* The moment at `index`. Inside a reaction it lies in the future, and `+10ms` counts from now. */
static int64_t check_moment(lua_State *lua, int index)
{
    const shoal_generator *generator = shoal_lua__self(lua);
    bool reacting = generator->schedule != NULL;
    const char *text = lua_type(lua, index) == LUA_TSTRING ? lua_tostring(lua, index) : "";
    int64_t at = 0;
    if (text[0] == '+') {
        shoal_schedule_error error;
        if (!reacting) {
            shoal_lua__fail(lua, "a time with + counts from what a reaction reacts to; here it is "
                                 "none: write when(...)");
        }
        if (!read_time(text + 1, &at, &error)) shoal_lua__fail(lua, "%s", error.message);
        at += generator->now_us;
    } else {
        at = shoal_lua__time(lua, index);
    }
    if (at < 0) shoal_lua__fail(lua, "a time is not below zero");
    if (at > SHOAL_SCHEDULE_TIME_MAX_US) shoal_lua__fail(lua, "a run lasts a year at most");
    if (reacting && at <= generator->now_us) {
        shoal_lua__fail(lua, "a reaction comes after what it reacts to: at least \"+1us\"");
    }
    return at;
}

/* ---- writing a line ---- */

/* Says what is wrong with the line on top of the stack: the place in the file, the complaint, the
 * line with a mark below it. */
static void complain(lua_State *lua, const shoal_schedule_error *error)
{
    const char *line = lua_tostring(lua, -1);
    char mark[512];
    size_t column = error->column > 0 ? error->column - 1 : 0;
    if (column > sizeof(mark) - 2) column = sizeof(mark) - 2;
    memset(mark, ' ', column);
    mark[column] = '^';
    mark[column + 1] = 0;
    luaL_where(lua, 1);
    lua_pushfstring(lua, "%s\n    %s\n    %s", error->message, line, mark);
    lua_concat(lua, 2);
    lua_error(lua);
}

/* Notes which line of the file has written the next line of the schedule. */
static void note_origin(lua_State *lua, shoal_generator *generator)
{
    lua_Debug caller = {0};
    uint32_t line = 0;
    if (lua_getstack(lua, 1, &caller) && lua_getinfo(lua, "l", &caller) && caller.currentline > 0) {
        line = (uint32_t)caller.currentline;
    }
    generator->origins = shoal_sim__grow(generator->origins, &generator->origin_capacity,
                                         generator->origin_count + 1, sizeof(*generator->origins));
    generator->origins[generator->origin_count++] = line;
}

/* Gives the text on top of the stack to the parser. */
static void write_line(lua_State *lua)
{
    shoal_generator *generator = shoal_lua__self(lua);
    shoal_schedule_error error;
    size_t size = 0;
    const char *line = lua_tolstring(lua, -1, &size);
    if (memchr(line, '\n', size) || memchr(line, 0, size)) {
        shoal_lua__fail(lua, "a line of a schedule has no newline and no zero in it");
    }
    note_origin(lua, generator);
    if (shoal_schedule_build_line(generator->builder, (shoal_slice){line, size}, &error) !=
        SHOAL_ERR_OK) {
        complain(lua, &error);
    }
    lua_pop(lua, 1);
}

/* The first lines of every schedule, once. */
static void write_head(lua_State *lua)
{
    shoal_generator *generator = shoal_lua__self(lua);
    char seed[32];
    generator->seed_fixed = true;
    if (shoal_schedule_built(generator->builder)->count > 0) return;
    lua_pushliteral(lua, "schedule v1");
    write_line(lua);
    snprintf(seed, sizeof(seed), "seed %llu", (unsigned long long)generator->seed);
    lua_pushstring(lua, seed);
    write_line(lua);
}

/* Writes the text on top of the stack as a line that stands before all times. */
static int write_setup(lua_State *lua, const char *what)
{
    if (shoal_lua__self(lua)->schedule != NULL) {
        shoal_lua__fail(lua, "%s belongs to the set-up: a reaction comes too late for it", what);
    }
    write_head(lua);
    write_line(lua);
    return 0;
}

/* Keeps the action on top of the stack for the world that runs. */
static void write_late(lua_State *lua, int64_t at_us)
{
    shoal_generator *generator = shoal_lua__self(lua);
    shoal_schedule_error error;
    size_t size = 0;
    const char *line = lua_tolstring(lua, -1, &size);
    if (generator->late_count + generator->schedule->count >= SHOAL_SCHEDULE_LINES_MAX) {
        shoal_lua__fail(lua, "the reactions make too many lines");
    }
    generator->late = shoal_sim__grow(generator->late, &generator->late_capacity,
                                      generator->late_count + 1, sizeof(*generator->late));
    shoal_line *late = shoal_sim__allocate(sizeof(*late));
    generator->late[generator->late_count] = late;
    if (shoal_schedule_parse_action((shoal_slice){line, size}, at_us, generator->schedule, late,
                                    &error) != SHOAL_ERR_OK) {
        shoal_sim__free(late);
        complain(lua, &error);
    }
    generator->late_count++;
    if (late->kind == SHOAL_LINE_EXPECT && late->expect.has_since) {
        shoal_lua__fail(lua, "what a reaction expects cannot count since an earlier time");
    }
    lua_pop(lua, 1);
}

/* Writes the action on top of the stack with its moment. */
static void write_action(lua_State *lua, int64_t at_us)
{
    char time[32];
    bool reacting = shoal_lua__self(lua)->schedule != NULL;
    size_t size = 0;
    const char *line = lua_tolstring(lua, -1, &size);
    if (memchr(line, '\n', size) || memchr(line, 0, size)) {
        shoal_lua__fail(lua, "a line of a schedule has no newline and no zero in it");
    }
    if (reacting) {
        write_late(lua, at_us);
        return;
    }
    write_head(lua);
    put_time(lua, at_us, time);
    lua_pushfstring(lua, "%s ", time);
    lua_insert(lua, -2);
    lua_concat(lua, 2);
    write_line(lua);
}

/* ---- words of the files ---- */

/* The text at `index`, or the one that its format makes of what follows. Pushes it. */
static void push_words(lua_State *lua, int index)
{
    if (lua_type(lua, index) != LUA_TSTRING) {
        shoal_lua__fail(lua, "a line is a text such as \"crash n2\", not a %s",
                        luaL_typename(lua, index));
    }
    if (lua_gettop(lua) > index)
        shoal_lua__format(lua, index);
    else
        lua_pushvalue(lua, index);
}

/* at(time, "crash n%d", i) */
static int line_at(lua_State *lua)
{
    int64_t at = check_moment(lua, 1);
    push_words(lua, 2);
    write_action(lua, at);
    return 0;
}

/* expect(time, "converge within 2s") */
static int line_expect(lua_State *lua)
{
    int64_t at = check_moment(lua, 1);
    push_words(lua, 2);
    lua_pushliteral(lua, "expect ");
    lua_insert(lua, -2);
    lua_concat(lua, 2);
    write_action(lua, at);
    return 0;
}

/* say(time, "n2 loses its power.") */
static int line_say(lua_State *lua)
{
    int64_t at = check_moment(lua, 1);
    push_words(lua, 2);
    int caption = lua_gettop(lua);
    luaL_Buffer out;
    luaL_buffinit(lua, &out);
    luaL_addstring(&out, "say \"");
    for (const char *c = lua_tostring(lua, caption); *c; c++) {
        if (*c == '"' || *c == '\\') luaL_addchar(&out, '\\');
        luaL_addchar(&out, *c);
    }
    luaL_addchar(&out, '"');
    luaL_pushresult(&out);
    write_action(lua, at);
    return 0;
}

/* config("n1", "appendonly yes") */
static int line_config(lua_State *lua)
{
    luaL_checkstring(lua, 1);
    push_words(lua, 2);
    lua_pushliteral(lua, "config ");
    lua_pushvalue(lua, 1);
    lua_pushliteral(lua, " ");
    lua_pushvalue(lua, -4);
    lua_concat(lua, 4);
    return write_setup(lua, "config");
}

/* profiles("redis-7 shoal") */
static int line_profiles(lua_State *lua)
{
    push_words(lua, 1);
    lua_pushliteral(lua, "profiles ");
    lua_insert(lua, -2);
    lua_concat(lua, 2);
    return write_setup(lua, "profiles");
}

/* comment("What follows is a storm.") */
static int line_comment(lua_State *lua)
{
    push_words(lua, 1);
    lua_pushliteral(lua, "# ");
    lua_insert(lua, -2);
    lua_concat(lua, 2);
    return write_setup(lua, "comment");
}

/* Adds ` word value` to the text on top of the stack, when the table at 1 has it; numbers must be
 * whole. */
static void add_option(lua_State *lua, const char *word)
{
    lua_getfield(lua, 1, word);
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        return;
    }
    if (strcmp(word, "node_timeout") == 0) {
        char text[32];
        put_time(lua, shoal_lua__time(lua, -1), text);
        lua_pushstring(lua, text);
        lua_replace(lua, -2);
    } else if (lua_type(lua, -1) != LUA_TSTRING) {
        lua_pushnumber(lua, (lua_Number)shoal_lua__whole(lua, -1, word));
        lua_replace(lua, -2);
    }
    lua_pushfstring(lua, " %s %s", word, lua_tostring(lua, -1));
    lua_replace(lua, -2);
    lua_concat(lua, 2);
}

static const char *const cluster_words[] = {"nodes", "masters", "replicas", "node_timeout", "meet"};
#define CLUSTER_WORDS (sizeof(cluster_words) / sizeof(cluster_words[0]))

/* Is every key of the table at 1 a word of cluster? */
static void check_cluster(lua_State *lua)
{
    lua_pushnil(lua);
    while (lua_next(lua, 1) != 0) {
        bool known = false;
        const char *key = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "?";
        for (size_t i = 0; i < CLUSTER_WORDS; i++) {
            known = known || strcmp(key, cluster_words[i]) == 0;
        }
        if (!known) {
            shoal_lua__fail(lua,
                            "cluster has no \"%s\", expected nodes, masters, replicas, "
                            "node_timeout or meet",
                            key);
        }
        lua_pop(lua, 1);
    }
}

/* cluster{masters=3, replicas=1, node_timeout="2s"} */
static int line_cluster(lua_State *lua)
{
    if (lua_type(lua, 1) != LUA_TTABLE) {
        shoal_lua__fail(lua, "cluster wants a table: cluster{masters=3, replicas=1, "
                             "node_timeout=\"2s\"}");
    }
    lua_settop(lua, 1);
    check_cluster(lua);
    lua_getfield(lua, 1, "nodes");
    lua_getfield(lua, 1, "masters");
    if (lua_isnil(lua, 2) && !lua_isnil(lua, 3)) {
        lua_getfield(lua, 1, "replicas");
        int64_t replicas = lua_isnil(lua, 4) ? 0 : shoal_lua__whole(lua, 4, "replicas");
        int64_t masters = shoal_lua__whole(lua, 3, "masters");
        lua_pushnumber(lua, (lua_Number)masters * (lua_Number)(1 + replicas));
        lua_setfield(lua, 1, "nodes");
    }
    lua_settop(lua, 1);
    lua_pushliteral(lua, "cluster");
    for (size_t i = 0; i < CLUSTER_WORDS; i++) add_option(lua, cluster_words[i]);
    return write_setup(lua, "cluster");
}

/* seed(4): of everything, unless --seed says another one */
static int line_seed(lua_State *lua)
{
    shoal_generator *generator = shoal_lua__self(lua);
    int64_t seed = shoal_lua__whole(lua, 1, "seed(n)");
    if (seed < 0) shoal_lua__fail(lua, "a seed is not below zero");
    if (generator->seed_fixed) {
        shoal_lua__fail(lua, "seed(n) comes before the first line and the first random stream");
    }
    if (!generator->options.has_seed) generator->seed = (uint64_t)seed;
    generator->seed_fixed = true;
    return 0;
}

/* about("Each node in turn loses its power.") */
static int line_about(lua_State *lua)
{
    shoal_generator *generator = shoal_lua__self(lua);
    size_t size = 0;
    const char *text = luaL_checklstring(lua, 1, &size);
    shoal_sim__free(generator->about);
    generator->about = shoal_line__copy((shoal_slice){text, size});
    return 0;
}

/* ---- parameters ---- */

/* What a setting gives for a parameter, or NULL. */
static const char *setting_of(const shoal_generator *generator, const char *name)
{
    size_t size = strlen(name);
    for (uint32_t i = 0; i < generator->options.setting_count; i++) {
        const char *setting = generator->options.settings[i];
        if (strncmp(setting, name, size) == 0 && setting[size] == '=') return setting + size + 1;
    }
    return NULL;
}

/* Pushes a given value, which must be of the type of the default at 2. */
static void push_setting(lua_State *lua, const char *name, const char *value)
{
    uint64_t number = 0;
    bool negative = value[0] == '-';
    switch (lua_type(lua, 2)) {
    case LUA_TNUMBER:
        if (!shoal_text_to_u64(shoal_text(value + negative), &number) ||
            !shoal_lua__is_whole((lua_Number)number)) {
            shoal_lua__fail(lua, "%s=%s: it must be a whole number", name, value);
        }
        lua_pushnumber(lua, negative ? -(lua_Number)number : (lua_Number)number);
        return;
    case LUA_TBOOLEAN:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0) {
            shoal_lua__fail(lua, "%s=%s: it must be true or false", name, value);
        }
        lua_pushboolean(lua, value[0] == 't');
        return;
    default: lua_pushstring(lua, value);
    }
}

/* param("masters", 3, "how many masters"): its value */
static int line_param(lua_State *lua)
{
    shoal_generator *generator = shoal_lua__self(lua);
    const char *name = luaL_checkstring(lua, 1);
    const char *doc = luaL_optstring(lua, 3, "");
    int type = lua_type(lua, 2);
    if (type == LUA_TNUMBER) {
        shoal_lua__whole(lua, 2, "the default of a parameter");
    } else if (type != LUA_TSTRING && type != LUA_TBOOLEAN) {
        shoal_lua__fail(lua, "the default of \"%s\" must be a whole number, a text or a boolean",
                        name);
    }
    if (generator->parameter_count == SHOAL_GENERATOR_PARAMETERS_MAX) {
        shoal_lua__fail(lua, "a file has at most %u parameters", SHOAL_GENERATOR_PARAMETERS_MAX);
    }
    for (uint32_t i = 0; i < generator->parameter_count; i++) {
        if (strcmp(generator->parameters[i].name, name) != 0) continue;
        shoal_lua__fail(lua, "the parameter \"%s\" is there already", name);
    }
    const char *given = setting_of(generator, name);
    if (given)
        push_setting(lua, name, given);
    else
        lua_pushvalue(lua, 2);
    char value[256];
    if (type == LUA_TNUMBER)
        snprintf(value, sizeof(value), "%lld", (long long)lua_tonumber(lua, -1));
    else if (type == LUA_TBOOLEAN)
        snprintf(value, sizeof(value), "%s", lua_toboolean(lua, -1) ? "true" : "false");
    else
        snprintf(value, sizeof(value), "%s", lua_tostring(lua, -1));
    shoal_lua_parameter *parameter = &generator->parameters[generator->parameter_count++];
    *parameter = (shoal_lua_parameter){.name = shoal_line__copy(shoal_text(name)),
                                       .value = shoal_line__copy(shoal_text(value)),
                                       .doc = shoal_line__copy(shoal_text(doc)),
                                       .given = given != NULL};
    return 1;
}

void shoal_lua__open_lines(lua_State *lua)
{
    static const luaL_Reg words[] = {{"at", line_at},
                                     {"expect", line_expect},
                                     {"say", line_say},
                                     {"config", line_config},
                                     {"comment", line_comment},
                                     {"cluster", line_cluster},
                                     {"profiles", line_profiles},
                                     {"seed", line_seed},
                                     {"about", line_about},
                                     {"param", line_param},
                                     {"us", line_us},
                                     {"time", line_time}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        lua_pushcfunction(lua, words[i].func);
        lua_setglobal(lua, words[i].name);
    }
}
