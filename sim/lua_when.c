/* SPDX-License-Identifier: MIT
 *
 * Reactions of generators: when("fail", {node="n2"}, function(event) ... end). They hear the trace
 * of the run and write further lines, always for a later moment, so that a replay of these lines
 * meets the same run.
 */
#include "sim/lua.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/lines.h"
#include "sim/memory.h"

/* What trace.def calls the parts of a kind. */
typedef struct kind_row {
    uint32_t kind;
    const char *name;
    const char *numbers[3];
    const char *text;
} kind_row;

static const kind_row kinds[] = {
#define SHOAL_TRACE(name, value, a, b, c, text, doc) {value, #name, {#a, #b, #c}, #text},
#include <shoal/trace.def>
#undef SHOAL_TRACE
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const kind_row *row_of(uint32_t kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].kind == kind) return &kinds[i];
    }
    return NULL;
}

/* ---- when(...) ---- */

/* The kind with this name in small letters; the names of the nearest, or of all, in the error. */
static uint32_t check_kind(lua_State *lua, const char *name)
{
    char lower[32];
    for (size_t i = 0; i < KINDS; i++) {
        size_t size = strlen(kinds[i].name);
        if (size >= sizeof(lower)) continue;
        for (size_t j = 0; j <= size; j++) lower[j] = shoal_text_lower(kinds[i].name[j]);
        if (strcmp(lower, name) == 0) return kinds[i].kind;
    }
    shoal_lua__fail(lua,
                    "found \"%s\", expected a kind of trace record in small letters, such as "
                    "fail, election, vote or node_crashed (docs/trace.md)",
                    name);
    return 0;
}

/* Takes `limit` and `after` out of the filter at 2. */
static void read_options(lua_State *lua, shoal_lua_hook *hook)
{
    lua_getfield(lua, 2, "limit");
    if (!lua_isnil(lua, -1)) {
        int64_t limit = shoal_lua__whole(lua, -1, "limit");
        if (limit < 1) shoal_lua__fail(lua, "limit must be at least 1");
        hook->left = (uint64_t)limit;
    }
    lua_getfield(lua, 2, "after");
    if (!lua_isnil(lua, -1)) hook->after_us = shoal_lua__time(lua, -1);
    lua_pop(lua, 2);
}

/* Do the kind's records have a part of this name? */
static bool has_part(const kind_row *row, const char *part)
{
    static const char *const common[] = {"node", "about", "limit", "after"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(part, common[i]) == 0) return true;
    }
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(part, row->numbers[i]) == 0) return true;
    }
    return strcmp(part, row->text) == 0;
}

static void check_filter(lua_State *lua, const kind_row *row)
{
    lua_pushnil(lua);
    while (lua_next(lua, 2) != 0) {
        const char *part = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "?";
        if (strcmp(part, "none") == 0 || !has_part(row, part)) {
            shoal_lua__fail(lua,
                            "a record %s has no \"%s\", expected node, about, %s, %s, %s, %s, "
                            "limit or after",
                            row->name, part, row->numbers[0], row->numbers[1], row->numbers[2],
                            row->text);
        }
        lua_pop(lua, 1);
    }
}

/* when("election", {step=2, limit=1}, function(event) at("+10ms", "crash %s", event.node) end) */
static int hook_when(lua_State *lua)
{
    shoal_generator *generator = shoal_lua__self(lua);
    if (lua_type(lua, 2) == LUA_TFUNCTION) {
        lua_newtable(lua);
        lua_insert(lua, 2);
    }
    if (lua_type(lua, 1) != LUA_TSTRING || !lua_istable(lua, 2) || !lua_isfunction(lua, 3)) {
        shoal_lua__fail(lua, "when wants a kind of record, perhaps a table, and a function: "
                             "when(\"fail\", {node=\"n2\"}, function(event) ... end)");
    }
    lua_settop(lua, 3);
    shoal_lua_hook hook = {.kind = check_kind(lua, lua_tostring(lua, 1)), .left = UINT64_MAX};
    check_filter(lua, row_of(hook.kind));
    read_options(lua, &hook);
    hook.function = luaL_ref(lua, LUA_REGISTRYINDEX);
    hook.filter = luaL_ref(lua, LUA_REGISTRYINDEX);
    generator->hooks = shoal_sim__grow(generator->hooks, &generator->hook_capacity,
                                       generator->hook_count + 1, sizeof(*generator->hooks));
    generator->hooks[generator->hook_count++] = hook;
    return 0;
}

void shoal_lua__open_when(lua_State *lua)
{
    lua_pushcfunction(lua, hook_when);
    lua_setglobal(lua, "when");
}

/* ---- events ---- */

/* Remembers what a node that got ready is called. */
static void learn_name(shoal_generator *generator, const shoal_trace_entry *entry)
{
    if (entry->record.kind != SHOAL_TRACE_READY) return;
    if (entry->record.text.size != SHOAL_NODE_NAME_LEN) return;
    generator->names = shoal_sim__grow(generator->names, &generator->name_capacity,
                                       generator->name_count + 1, sizeof(*generator->names));
    shoal_lua_name *name = &generator->names[generator->name_count++];
    memcpy(name->name, entry->record.text.data, SHOAL_NODE_NAME_LEN);
    name->node = entry->node;
}

static void push_label(lua_State *lua, uint64_t node)
{
    char label[16];
    snprintf(label, sizeof(label), "n%u", (uint32_t)node + 1);
    lua_pushstring(lua, label);
}

/* Pushes the label of the node that the text of a record begins with, or nil. */
static void push_about(shoal_generator *generator, shoal_slice text)
{
    for (uint32_t i = generator->name_count; i > 0; i--) {
        const shoal_lua_name *name = &generator->names[i - 1];
        if (text.size < SHOAL_NODE_NAME_LEN) break;
        if (memcmp(name->name, text.data, SHOAL_NODE_NAME_LEN) != 0) continue;
        push_label(generator->lua, name->node);
        return;
    }
    lua_pushnil(generator->lua);
}

/* Pushes a number of a record; one that no double holds becomes a text. */
static void push_number(lua_State *lua, uint64_t number)
{
    char text[32];
    if (number <= (UINT64_C(1) << 53)) {
        lua_pushnumber(lua, (lua_Number)number);
        return;
    }
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    lua_pushstring(lua, text);
}

/* Pushes the table that a reaction gets. */
static void push_event(shoal_generator *generator, const shoal_trace_entry *entry)
{
    lua_State *lua = generator->lua;
    const shoal_trace_record *record = &entry->record;
    const kind_row *row = row_of(record->kind);
    const uint64_t numbers[3] = {record->a, record->b, record->c};
    lua_createtable(lua, 0, 8);
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(row->numbers[i], "none") == 0) continue;
        if (strcmp(row->numbers[i], "to_node") == 0 && numbers[i] < generator->schedule->nodes)
            push_label(lua, numbers[i]);
        else
            push_number(lua, numbers[i]);
        lua_setfield(lua, -2, row->numbers[i]);
    }
    if (strcmp(row->text, "none") != 0) {
        lua_pushlstring(lua, record->text.data ? record->text.data : "", record->text.size);
        lua_setfield(lua, -2, row->text);
    }
    push_about(generator, record->text);
    lua_setfield(lua, -2, "about");
    if (entry->node == SHOAL_TRACE_WORLD)
        lua_pushliteral(lua, "world");
    else
        push_label(lua, entry->node);
    lua_setfield(lua, -2, "node");
    lua_pushnumber(lua, (lua_Number)entry->time_us);
    lua_setfield(lua, -2, "time");
}

/* Has the event at the top of the stack what the filter asks for? */
static bool fits(lua_State *lua, const shoal_lua_hook *hook)
{
    bool right = true;
    int event = lua_gettop(lua);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, hook->filter);
    lua_pushnil(lua);
    while (right && lua_next(lua, event + 1) != 0) {
        const char *part = lua_tostring(lua, event + 2);
        bool option = strcmp(part, "limit") == 0 || strcmp(part, "after") == 0;
        lua_getfield(lua, event, part);
        right = option || lua_rawequal(lua, -1, event + 3) != 0;
        lua_pop(lua, 2);
    }
    lua_settop(lua, event);
    return right;
}

/* What one record sets off. Called without protection from a C function that Lua protects. */
static int hear(lua_State *lua)
{
    shoal_generator *generator = shoal_lua__self(lua);
    const shoal_trace_entry *entry = lua_touserdata(lua, 1);
    for (uint32_t i = 0; i < generator->hook_count; i++) {
        shoal_lua_hook *hook = &generator->hooks[i];
        if (hook->kind != entry->record.kind || hook->left == 0) continue;
        if (entry->time_us < hook->after_us) continue;
        lua_settop(lua, 1);
        push_event(generator, entry);
        if (!fits(lua, hook)) continue;
        hook->left--;
        lua_rawgeti(lua, LUA_REGISTRYINDEX, hook->function);
        lua_insert(lua, 2);
        lua_call(lua, 1, 0);
    }
    return 0;
}

bool shoal_lua__hear(shoal_generator *generator, const shoal_trace_entry *entry)
{
    bool wanted = false;
    SHOAL_ASSERT(generator->schedule != NULL);
    learn_name(generator, entry);
    for (uint32_t i = 0; i < generator->hook_count && !wanted; i++) {
        const shoal_lua_hook *hook = &generator->hooks[i];
        wanted = hook->kind == entry->record.kind && hook->left > 0;
    }
    if (!wanted) return true;
    generator->now_us = entry->time_us;
    lua_pushcfunction(generator->lua, hear);
    lua_pushlightuserdata(generator->lua, (void *)(uintptr_t)entry);
    return shoal_lua__call(generator, 1);
}
