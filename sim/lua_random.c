/* SPDX-License-Identifier: MIT
 *
 * Chance for generators: streams with names, each a function of the seed and its name, so that one
 * more draw for one thing shifts nothing for another.
 */
#include "sim/lua.h"

#include <string.h>

#include "base/prng.h"

/* The name of the streams' metatable, and of the table of streams, in Lua's registry. */
static const char STREAM[] = "shoal.stream";
static const char STREAMS[] = "shoal.streams";

/* Not a purpose of a world (sim/random.h): a generator has a seed of its own. */
#define GENERATOR_SALT UINT64_C(0x67656E6572617465)

static shoal_prng stream_of(uint64_t seed, const char *name, size_t size)
{
    uint64_t hash = size;
    for (size_t i = 0; i < size; i++) {
        hash = shoal_prng_mix(hash * 31 + (unsigned char)name[i] + 1);
    }
    uint64_t key[2] = {shoal_prng_mix(seed ^ GENERATOR_SALT), seed ^ hash};
    return shoal_prng_make(key, 0, 1);
}

static shoal_prng *check_stream(lua_State *lua)
{
    return luaL_checkudata(lua, 1, STREAM);
}

/* random("name"): the stream of this name, always the same one. */
static int random_stream(lua_State *lua)
{
    shoal_generator *generator = shoal_lua__self(lua);
    size_t size = 0;
    if (lua_type(lua, 1) != LUA_TSTRING) {
        shoal_lua__fail(lua, "random wants the name of a stream, such as random(\"crashes\")");
    }
    const char *name = lua_tolstring(lua, 1, &size);
    generator->seed_fixed = true;
    lua_getfield(lua, LUA_REGISTRYINDEX, STREAMS);
    lua_pushvalue(lua, 1);
    lua_rawget(lua, -2);
    if (!lua_isnil(lua, -1)) return 1;
    lua_pop(lua, 1);
    shoal_prng *stream = lua_newuserdata(lua, sizeof(*stream));
    *stream = stream_of(generator->seed, name, size);
    luaL_getmetatable(lua, STREAM);
    lua_setmetatable(lua, -2);
    lua_pushvalue(lua, 1);
    lua_pushvalue(lua, -2);
    lua_rawset(lua, -4);
    return 1;
}

/* :below(n), one of 0 .. n-1 */
static int stream_below(lua_State *lua)
{
    shoal_prng *stream = check_stream(lua);
    int64_t n = shoal_lua__whole(lua, 2, "below(n)");
    if (n < 1) shoal_lua__fail(lua, "below(n) needs n of at least 1");
    lua_pushnumber(lua, (lua_Number)shoal_prng_below(stream, (uint64_t)n));
    return 1;
}

/* :between(a, b), one of a .. b; a and b may be durations, then it is microseconds */
static int stream_between(lua_State *lua)
{
    shoal_prng *stream = check_stream(lua);
    int64_t low = shoal_lua__time(lua, 2), high = shoal_lua__time(lua, 3);
    if (low > high) shoal_lua__fail(lua, "between(a, b) needs a not above b");
    lua_pushnumber(lua, (lua_Number)shoal_prng_between(stream, low, high));
    return 1;
}

/* :chance(percent), true so often */
static int stream_chance(lua_State *lua)
{
    shoal_prng *stream = check_stream(lua);
    int64_t percent = shoal_lua__whole(lua, 2, "chance(percent)");
    if (percent < 0 || percent > 100) shoal_lua__fail(lua, "chance(percent) goes from 0 to 100");
    lua_pushboolean(lua, shoal_prng_chance_ppm(stream, (uint32_t)percent * 10000));
    return 1;
}

static int list_size(lua_State *lua, int index)
{
    luaL_checktype(lua, index, LUA_TTABLE);
    return (int)lua_objlen(lua, index);
}

/* :pick(list), one of its elements */
static int stream_pick(lua_State *lua)
{
    shoal_prng *stream = check_stream(lua);
    int size = list_size(lua, 2);
    if (size == 0) shoal_lua__fail(lua, "pick(list) needs a list that is not empty");
    lua_rawgeti(lua, 2, 1 + (int)shoal_prng_below(stream, (uint64_t)size));
    return 1;
}

/* :shuffle(list), a new list in another order */
static int stream_shuffle(lua_State *lua)
{
    shoal_prng *stream = check_stream(lua);
    int size = list_size(lua, 2);
    lua_createtable(lua, size, 0);
    for (int i = 1; i <= size; i++) {
        lua_rawgeti(lua, 2, i);
        lua_rawseti(lua, 3, i);
    }
    for (int i = size; i > 1; i--) {
        int j = 1 + (int)shoal_prng_below(stream, (uint64_t)i);
        lua_rawgeti(lua, 3, i);
        lua_rawgeti(lua, 3, j);
        lua_rawseti(lua, 3, i);
        lua_rawseti(lua, 3, j);
    }
    return 1;
}

void shoal_lua__open_random(lua_State *lua)
{
    static const luaL_Reg methods[] = {{"below", stream_below},
                                       {"between", stream_between},
                                       {"chance", stream_chance},
                                       {"pick", stream_pick},
                                       {"shuffle", stream_shuffle}};
    luaL_newmetatable(lua, STREAM);
    lua_createtable(lua, 0, 8);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        lua_pushcfunction(lua, methods[i].func);
        lua_setfield(lua, -2, methods[i].name);
    }
    lua_setfield(lua, -2, "__index");
    lua_pop(lua, 1);
    lua_newtable(lua);
    lua_setfield(lua, LUA_REGISTRYINDEX, STREAMS);
    lua_pushcfunction(lua, random_stream);
    lua_setglobal(lua, "random");
}
