/* SPDX-License-Identifier: MIT
 *
 * What generators have of Lua's own: the parts of the base, string, table and math libraries that
 * depend on nothing but their arguments. `pairs` goes in the order of keys, `tostring` and
 * `format` refuse what would show an address or a fraction, and patterns that could take for ever
 * are refused too, because the budget of instructions does not see them.
 */
#include "sim/lua.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* ---- text from values ---- */

/* Pushes the text of the value at `index`: whole numbers, texts, booleans and nil have one. */
static void push_text(lua_State *lua, int index)
{
    char digits[32];
    switch (lua_type(lua, index)) {
    case LUA_TNIL:
    case LUA_TNONE: lua_pushliteral(lua, "nil"); return;
    case LUA_TBOOLEAN: lua_pushstring(lua, lua_toboolean(lua, index) ? "true" : "false"); return;
    case LUA_TSTRING: lua_pushvalue(lua, index); return;
    case LUA_TNUMBER:
        snprintf(digits, sizeof(digits), "%lld",
                 (long long)shoal_lua__whole(lua, index, "a number that becomes text"));
        lua_pushstring(lua, digits);
        return;
    default:
        shoal_lua__fail(lua, "a %s has no text: it would be an address", luaL_typename(lua, index));
    }
}

static int base_tostring(lua_State *lua)
{
    luaL_checkany(lua, 1);
    push_text(lua, 1);
    return 1;
}

static int base_print(lua_State *lua)
{
    const shoal_generator *generator = shoal_lua__self(lua);
    int count = lua_gettop(lua);
    luaL_Buffer text;
    luaL_buffinit(lua, &text);
    for (int i = 1; i <= count; i++) {
        if (i > 1) luaL_addchar(&text, ' ');
        push_text(lua, i);
        luaL_addvalue(&text);
    }
    luaL_addchar(&text, '\n');
    luaL_pushresult(&text);
    size_t size = 0;
    const char *data = lua_tolstring(lua, -1, &size);
    if (generator->options.print) {
        generator->options.print(generator->options.print_context, (shoal_slice){data, size});
    }
    return 0;
}

/* A conversion of a format: %d %x %s with `-` or `0` and a width of up to two digits. */
typedef struct conversion {
    bool left, zeros;
    int width;
    char kind;
} conversion;

/* Reads the conversion at `spec`, behind its percent sign; what follows it. */
static const char *read_conversion(lua_State *lua, const char *spec, conversion *out)
{
    const char *at = spec;
    *out = (conversion){.left = *at == '-', .zeros = *at == '0'};
    if (out->left || out->zeros) at++;
    for (int i = 0; i < 2 && *at >= '0' && *at <= '9'; i++) {
        out->width = out->width * 10 + (*at++ - '0');
    }
    out->kind = *at;
    if (*at == 'd' || *at == 'x' || *at == 's') return at + 1;
    shoal_lua__fail(lua, "\"%%%.*s\" is no conversion, expected %%d, %%x or %%s",
                    (int)(at - spec) + (*at != 0), spec);
    return spec;
}

static void put_number(const conversion *how, long long number, char made[128])
{
    if (how->kind == 'x')
        snprintf(made, 128, how->zeros ? "%0*llx" : "%*llx", how->width,
                 (unsigned long long)number);
    else if (how->left)
        snprintf(made, 128, "%-*lld", how->width, number);
    else
        snprintf(made, 128, how->zeros ? "%0*lld" : "%*lld", how->width, number);
}

/* Adds what a conversion makes of the value at `index`. */
static void convert(lua_State *lua, const conversion *how, int index, luaL_Buffer *out)
{
    char made[128];
    size_t size = 0;
    if (how->kind != 's') {
        put_number(how, shoal_lua__whole(lua, index, "a number of a format"), made);
        luaL_addstring(out, made);
        return;
    }
    push_text(lua, index);
    (void)lua_tolstring(lua, -1, &size);
    int fill = how->width > (int)size ? how->width - (int)size : 0;
    snprintf(made, sizeof(made), "%*s", fill, "");
    lua_pushstring(lua, made);
    if (!how->left) lua_insert(lua, -2);
    lua_concat(lua, 2);
    luaL_addvalue(out);
}

void shoal_lua__format(lua_State *lua, int index)
{
    const char *format = luaL_checkstring(lua, index);
    int last = lua_gettop(lua);
    luaL_Buffer out;
    luaL_buffinit(lua, &out);
    while (*format) {
        if (*format != '%') {
            luaL_addchar(&out, *format++);
        } else if (format[1] == '%') {
            luaL_addchar(&out, '%');
            format += 2;
        } else {
            conversion how;
            format = read_conversion(lua, format + 1, &how);
            if (++index > last) shoal_lua__fail(lua, "the format wants more values");
            convert(lua, &how, index, &out);
        }
    }
    luaL_pushresult(&out);
}

static int string_format(lua_State *lua)
{
    shoal_lua__format(lua, 1);
    return 1;
}

/* ---- patterns ---- */

/* What a search may cost at most: the text's size to the power of repetitions in the pattern and
 * one. Chosen: a fraction of a second. */
#define PATTERN_COST_MAX 300000000.0

/* The library's own function (an upvalue), when the pattern cannot take for ever. */
static int guarded_pattern(lua_State *lua)
{
    size_t text_size = 0, pattern_size = 0;
    luaL_checklstring(lua, 1, &text_size);
    const char *pattern = luaL_checklstring(lua, 2, &pattern_size);
    double cost = (double)text_size + 1;
    for (size_t i = 0; i < pattern_size && cost <= PATTERN_COST_MAX; i++) {
        if (strchr("*+-?", pattern[i]) != NULL && pattern[i] != 0) cost *= (double)text_size + 1;
    }
    if (cost > PATTERN_COST_MAX) {
        shoal_lua__fail(lua, "this pattern could take too long on a text of %zu bytes", text_size);
    }
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
    return lua_gettop(lua);
}

static int string_rep(lua_State *lua)
{
    const shoal_generator *generator = shoal_lua__self(lua);
    size_t size = 0;
    const char *text = luaL_checklstring(lua, 1, &size);
    int64_t times = shoal_lua__whole(lua, 2, "the number of repetitions");
    luaL_Buffer out;
    if (times > 0 && size > generator->options.memory_max / 4 / (size_t)times) {
        shoal_lua__fail(lua, "the repeated text is too long");
    }
    luaL_buffinit(lua, &out);
    for (int64_t i = 0; i < times; i++) luaL_addlstring(&out, text, size);
    luaL_pushresult(&out);
    return 1;
}

/* ---- pairs in order ---- */

/* A key of a table; its text is kept alive by the list of keys. */
typedef struct sorted_key {
    int type;
    lua_Number number; /* also of booleans */
    const char *text;
    size_t size;
} sorted_key;

static int by_key(const void *a, const void *b)
{
    const sorted_key *left = a, *right = b;
    if (left->type != right->type) return left->type < right->type ? -1 : 1;
    if (left->type == LUA_TSTRING) {
        size_t least = left->size < right->size ? left->size : right->size;
        int order = memcmp(left->text, right->text, least);
        if (order != 0) return order;
        return left->size < right->size ? -1 : left->size > right->size;
    }
    return left->number < right->number ? -1 : left->number > right->number;
}

static int count_keys(lua_State *lua, int table)
{
    int count = 0;
    lua_pushnil(lua);
    while (lua_next(lua, table) != 0) {
        lua_pop(lua, 1);
        count++;
    }
    return count;
}

/* Pushes a list of the keys of `table` in order: booleans, numbers, texts. */
static void push_keys(lua_State *lua, int table)
{
    int count = count_keys(lua, table), at = 0;
    sorted_key *keys = lua_newuserdata(lua, (size_t)(count + 1) * sizeof(*keys));
    lua_pushnil(lua);
    while (lua_next(lua, table) != 0) {
        lua_pop(lua, 1);
        sorted_key *key = &keys[at++];
        *key = (sorted_key){.type = lua_type(lua, -1)};
        if (key->type == LUA_TSTRING)
            key->text = lua_tolstring(lua, -1, &key->size);
        else if (key->type == LUA_TNUMBER)
            key->number = lua_tonumber(lua, -1);
        else if (key->type == LUA_TBOOLEAN)
            key->number = lua_toboolean(lua, -1);
        else
            shoal_lua__fail(lua, "pairs: a %s as a key has no order", luaL_typename(lua, -1));
    }
    qsort(keys, (size_t)count, sizeof(*keys), by_key);
    lua_createtable(lua, count, 0);
    for (int i = 0; i < count; i++) {
        if (keys[i].type == LUA_TSTRING)
            lua_pushlstring(lua, keys[i].text, keys[i].size);
        else if (keys[i].type == LUA_TNUMBER)
            lua_pushnumber(lua, keys[i].number);
        else
            lua_pushboolean(lua, keys[i].number != 0);
        lua_rawseti(lua, -2, i + 1);
    }
    lua_remove(lua, -2);
}

/* The iterator. Upvalues: the table, the keys, how many are done. Keys that are gone are left
 * out. */
static int next_pair(lua_State *lua)
{
    int at = (int)lua_tointeger(lua, lua_upvalueindex(3));
    int count = (int)lua_objlen(lua, lua_upvalueindex(2));
    while (++at <= count) {
        lua_rawgeti(lua, lua_upvalueindex(2), at);
        lua_pushvalue(lua, -1);
        lua_rawget(lua, lua_upvalueindex(1));
        if (!lua_isnil(lua, -1)) break;
        lua_pop(lua, 2);
    }
    lua_pushinteger(lua, at);
    lua_replace(lua, lua_upvalueindex(3));
    if (at <= count) return 2;
    lua_pushnil(lua);
    return 1;
}

static int base_pairs(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 1);
    push_keys(lua, 1);
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, next_pair, 3);
    return 1;
}

/* ---- what is there ---- */

/* A global of Lua's that must not be there, with why, so that whoever misses it is told. */
typedef struct absent_name {
    const char *name;
    const char *why;
} absent_name;

static const absent_name absent[] = {
    {"os", "a generator has no clock and no system; times are texts such as \"1.5s\""},
    {"io", "a generator has no files; print(...) shows something"},
    {"require", "a generator is one file"},
    {"dofile", "a generator is one file"},
    {"loadfile", "a generator is one file"},
    {"load", "a generator makes no code"},
    {"loadstring", "a generator makes no code"},
    {"next", "its order is not determined; use pairs(t)"},
    {"pcall", "errors end the file, with their line"},
    {"xpcall", "errors end the file, with their line"},
    {"coroutine", "a generator has one thread"},
    {"debug", "a generator cannot look behind itself"},
    {"setmetatable", "tables are plain here"},
    {"collectgarbage", "memory is nothing that a schedule depends on"}};

/* __index of the table of globals: a name that is not there. */
static int missing_global(lua_State *lua)
{
    const char *name = lua_tostring(lua, 2);
    for (size_t i = 0; name && i < sizeof(absent) / sizeof(absent[0]); i++) {
        if (strcmp(name, absent[i].name) != 0) continue;
        return shoal_lua__fail(lua, "there is no '%s' here: %s", name, absent[i].why);
    }
    return shoal_lua__fail(lua, "there is nothing called '%s'", name ? name : "?");
}

/* math.random and whatever else a library does not have. */
static int missing_field(lua_State *lua)
{
    const char *name = lua_tostring(lua, 2);
    const char *library = lua_tostring(lua, lua_upvalueindex(1));
    if (name && strcmp(library, "math") == 0 && strncmp(name, "random", 6) == 0) {
        return shoal_lua__fail(lua, "there is no math.%s here: use random(\"name\"):below(n)",
                               name);
    }
    return shoal_lua__fail(lua, "there is no %s.%s here", library, name ? name : "?");
}

/* Lets a miss in the table on top of the stack be an error. */
static void guard(lua_State *lua, const char *library)
{
    lua_createtable(lua, 0, 1);
    lua_pushstring(lua, library);
    lua_pushcclosure(lua, library[0] ? missing_field : missing_global, 1);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
}

/* Replaces the table of a library by one with these of its functions only; leaves it on the stack.
 * `names` ends with NULL. */
static void keep_only(lua_State *lua, const char *library, const char *const *names)
{
    lua_createtable(lua, 0, 16);
    lua_getglobal(lua, library);
    for (; *names; names++) {
        lua_getfield(lua, -1, *names);
        SHOAL_ASSERT(lua_isfunction(lua, -1));
        lua_setfield(lua, -3, *names);
    }
    lua_pop(lua, 1);
    lua_pushvalue(lua, -1);
    lua_setglobal(lua, library);
}

/* Puts a function, with upvalues from the stack, into the table on top. */
static void put(lua_State *lua, const char *name, lua_CFunction function)
{
    lua_pushcfunction(lua, function);
    lua_setfield(lua, -2, name);
}

static void open_strings(lua_State *lua)
{
    static const char *const names[] = {"byte", "char",    "len",   "lower",
                                        "sub",  "reverse", "upper", NULL};
    static const char *const patterns[] = {"find", "match", "gmatch", "gsub"};
    lua_getglobal(lua, "string");
    int old = lua_gettop(lua);
    keep_only(lua, "string", names);
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        lua_getfield(lua, old, patterns[i]);
        lua_pushcclosure(lua, guarded_pattern, 1);
        lua_setfield(lua, -2, patterns[i]);
    }
    put(lua, "rep", string_rep);
    put(lua, "format", string_format);
    /* Methods of texts: ("n%d"):format(3). */
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    lua_pushvalue(lua, old + 1);
    lua_setfield(lua, -2, "__index");
    lua_pop(lua, 2);
    guard(lua, "string");
    lua_settop(lua, old - 1);
}

/* Opens one of Lua's libraries. */
static void open_library(lua_State *lua, lua_CFunction open, const char *name)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

void shoal_lua__open_base(lua_State *lua)
{
    static const char *const base[] = {"assert",   "error", "ipairs", "select",
                                       "tonumber", "type",  "unpack", NULL};
    static const char *const tables[] = {"concat", "insert", "remove", "sort", NULL};
    static const char *const math[] = {"abs", "ceil", "floor", "fmod", "max", "min", NULL};
    open_library(lua, luaopen_base, "");
    open_library(lua, luaopen_string, LUA_STRLIBNAME);
    open_library(lua, luaopen_table, LUA_TABLIBNAME);
    open_library(lua, luaopen_math, LUA_MATHLIBNAME);
    open_strings(lua);
    keep_only(lua, "table", tables);
    guard(lua, "table");
    keep_only(lua, "math", math);
    guard(lua, "math");
    lua_settop(lua, 0);

    lua_createtable(lua, 0, 32);
    for (const char *const *name = base; *name; name++) {
        lua_getglobal(lua, *name);
        lua_setfield(lua, 1, *name);
    }
    static const char *const libraries[] = {"string", "table", "math"};
    for (size_t i = 0; i < 3; i++) {
        lua_getglobal(lua, libraries[i]);
        lua_setfield(lua, 1, libraries[i]);
    }
    put(lua, "pairs", base_pairs);
    put(lua, "tostring", base_tostring);
    put(lua, "print", base_print);
    guard(lua, "");
    lua_replace(lua, LUA_GLOBALSINDEX);
}
