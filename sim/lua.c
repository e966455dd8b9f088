/* SPDX-License-Identifier: MIT
 *
 * Generators: the Lua state with its bounds of instructions and memory, from the text of a file to
 * a schedule.
 */
#include "sim/lua.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/lines.h"
#include "sim/memory.h"

/* The hook that counts comes after so many instructions. */
#define STRIDE 1000

bool shoal_generator__names(const char *path)
{
    static const char ending[] = ".lua";
    size_t size = strlen(path), tail = sizeof(ending) - 1;
    return size > tail && strcmp(path + size - tail, ending) == 0;
}

shoal_generator *shoal_lua__self(lua_State *lua)
{
    void *generator = NULL;
    lua_getallocf(lua, &generator);
    SHOAL_ASSERT(generator != NULL);
    return generator;
}

/* ---- bounds ---- */

/* Twice the bound stops everything; at the bound itself count_instructions does, with a line. */
static void *allocate(void *context, void *old, size_t old_size, size_t size)
{
    shoal_generator *generator = context;
    SHOAL_ASSERT(generator->memory_used >= old_size);
    size_t used = generator->memory_used - old_size + size;
    if (size > old_size && used > 2 * generator->options.memory_max) return NULL;
    if (size == 0) {
        free(old);
        generator->memory_used = used;
        return NULL;
    }
    void *memory = realloc(old, size);
    if (memory) generator->memory_used = used;
    return memory;
}

/* Where the running function is, as `FILE:LINE: `. */
static void push_place(lua_State *lua, lua_Debug *here)
{
    lua_getinfo(lua, "Sl", here);
    lua_pushfstring(lua, "%s:%d: ", here->short_src, here->currentline);
}

static void count_instructions(lua_State *lua, lua_Debug *here)
{
    shoal_generator *generator = shoal_lua__self(lua);
    const shoal_generator_options *options = &generator->options;
    generator->instructions += STRIDE;
    if (generator->memory_used > options->memory_max) lua_gc(lua, LUA_GCCOLLECT, 0);
    bool fat = generator->memory_used > options->memory_max;
    if (!fat && generator->instructions <= options->instructions_max) return;
    generator->exhausted = true;
    push_place(lua, here);
    if (fat) {
        lua_pushfstring(lua, "the file uses more than its %d KiB of memory",
                        (int)(options->memory_max >> 10));
    } else {
        lua_pushfstring(lua, "the file has used its %d instructions; does a loop never end?",
                        (int)options->instructions_max);
    }
    lua_concat(lua, 2);
    lua_error(lua);
}

/* ---- errors ---- */

int shoal_lua__fail(lua_State *lua, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    luaL_where(lua, 1);
    lua_pushstring(lua, message);
    lua_concat(lua, 2);
    return lua_error(lua);
}

/* Keeps what is on top of the stack as the error. */
static void keep_error(shoal_generator *generator, int status)
{
    const char *message = lua_tostring(generator->lua, -1);
    if (status == LUA_ERRMEM) {
        snprintf(generator->error, sizeof(generator->error),
                 "%s: the file uses more than its %zu KiB of memory", generator->options.path,
                 generator->options.memory_max >> 10);
    } else {
        snprintf(generator->error, sizeof(generator->error), "%s%s",
                 message ? "" : generator->options.path,
                 message ? message : ": the file ended with an error that is no text");
    }
}

bool shoal_lua__call(shoal_generator *generator, int arguments)
{
    int status = lua_pcall(generator->lua, arguments, 0, 0);
    if (status == 0) return true;
    keep_error(generator, status);
    lua_pop(generator->lua, 1);
    return false;
}

bool shoal_lua__is_whole(lua_Number number)
{
    const lua_Number limit = 9007199254740992.0; /* 2^53 */
    return number >= -limit && number <= limit && number == (lua_Number)(int64_t)number;
}

int64_t shoal_lua__whole(lua_State *lua, int index, const char *what)
{
    bool number = lua_type(lua, index) == LUA_TNUMBER;
    if (number && shoal_lua__is_whole(lua_tonumber(lua, index))) {
        return (int64_t)lua_tonumber(lua, index);
    }
    if (number) {
        char text[32];
        snprintf(text, sizeof(text), "%.14g", lua_tonumber(lua, index));
        shoal_lua__fail(lua, "%s must be a whole number, not %s", what, text);
    }
    shoal_lua__fail(lua, "%s must be a whole number, not a %s", what, luaL_typename(lua, index));
    return 0;
}

/* ---- making one ---- */

/* Everything that may run out of memory, behind lua_cpcall. */
static int open_all(lua_State *lua)
{
    shoal_lua__open_base(lua);
    shoal_lua__open_random(lua);
    shoal_lua__open_lines(lua);
    shoal_lua__open_when(lua);
    return 0;
}

shoal_generator *shoal_generator__make(const shoal_generator_options *options)
{
    shoal_generator *generator = shoal_sim__allocate(sizeof(*generator));
    generator->options = *options;
    if (options->instructions_max == 0)
        generator->options.instructions_max = SHOAL_GENERATOR_INSTRUCTIONS_MAX;
    if (options->memory_max == 0) generator->options.memory_max = SHOAL_GENERATOR_MEMORY_MAX;
    generator->seed = options->has_seed ? options->seed : 1;
    generator->builder = shoal_schedule_build();
    generator->lua = lua_newstate(allocate, generator);
    return generator;
}

void shoal_generator__free(shoal_generator *generator)
{
    if (generator->lua) lua_close(generator->lua);
    SHOAL_ASSERT(generator->memory_used == 0);
    if (generator->builder) shoal_schedule_build_drop(generator->builder);
    for (uint32_t i = 0; i < generator->parameter_count; i++) {
        shoal_sim__free(generator->parameters[i].name);
        shoal_sim__free(generator->parameters[i].value);
        shoal_sim__free(generator->parameters[i].doc);
    }
    for (uint32_t i = 0; i < generator->late_count; i++) {
        shoal_line_free(generator->late[i]);
        shoal_sim__free(generator->late[i]);
    }
    shoal_sim__free(generator->late);
    shoal_sim__free(generator->origins);
    shoal_sim__free(generator->hooks);
    shoal_sim__free(generator->names);
    shoal_sim__free(generator->about);
    shoal_sim__free(generator);
}

const char *shoal_generator__error(const shoal_generator *generator)
{
    return generator->error;
}

const char *shoal_generator__about(const shoal_generator *generator)
{
    return generator->about ? generator->about : "";
}

uint32_t shoal_generator__parameters(const shoal_generator *generator)
{
    return generator->parameter_count;
}

shoal_generator_parameter shoal_generator__parameter(const shoal_generator *generator,
                                                     uint32_t index)
{
    SHOAL_ASSERT(index < generator->parameter_count);
    const shoal_lua_parameter *parameter = &generator->parameters[index];
    return (shoal_generator_parameter){parameter->name, parameter->value, parameter->doc,
                                       parameter->given};
}

/* ---- running it ---- */

/* Runs the file from its first line to its last. */
static bool run_file(shoal_generator *generator)
{
    lua_State *lua = generator->lua;
    shoal_slice text = generator->options.text;
    char name[256];
    int status = lua ? lua_cpcall(lua, open_all, NULL) : LUA_ERRMEM;
    if (lua == NULL || status != 0) {
        snprintf(generator->error, sizeof(generator->error), "%s: no memory for Lua",
                 generator->options.path);
        return false;
    }
    if (text.size > 0 && text.data[0] == LUA_SIGNATURE[0]) {
        snprintf(generator->error, sizeof(generator->error),
                 "%s:1: this is compiled Lua; a generator is a text", generator->options.path);
        return false;
    }
    snprintf(name, sizeof(name), "@%s", generator->options.path);
    status = luaL_loadbuffer(lua, text.data, text.size, name);
    if (status != 0) {
        keep_error(generator, status);
        return false;
    }
    lua_sethook(lua, count_instructions, LUA_MASKCOUNT, STRIDE);
    return shoal_lua__call(generator, 0);
}

/* Every setting must have found its parameter. */
static bool check_settings(shoal_generator *generator)
{
    const shoal_generator_options *options = &generator->options;
    for (uint32_t i = 0; i < options->setting_count; i++) {
        const char *setting = options->settings[i];
        size_t size = strcspn(setting, "=");
        bool found = false;
        for (uint32_t j = 0; j < generator->parameter_count && !found; j++) {
            const char *name = generator->parameters[j].name;
            found = strlen(name) == size && memcmp(name, setting, size) == 0;
        }
        if (found) continue;
        int used = snprintf(generator->error, sizeof(generator->error),
                            "%s: there is no parameter \"%.*s\"; it has", options->path, (int)size,
                            setting);
        for (uint32_t j = 0; j < generator->parameter_count; j++) {
            if ((size_t)used >= sizeof(generator->error)) break;
            used += snprintf(generator->error + used, sizeof(generator->error) - (size_t)used,
                             "%s %s", j == 0 ? "" : ",", generator->parameters[j].name);
        }
        if (generator->parameter_count == 0 && (size_t)used < sizeof(generator->error)) {
            snprintf(generator->error + used, sizeof(generator->error) - (size_t)used, " none");
        }
        return false;
    }
    return true;
}

/* Puts what the generator says about itself above the line of the seed. */
static void head_comment(const shoal_generator *generator, shoal_schedule *schedule)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    const char *about = generator->about ? generator->about : "";
    const char *slash = strrchr(generator->options.path, '/');
    while (*about) {
        size_t size = strcspn(about, "\n");
        shoal_text_appendf(&text, size > 0 ? "# %.*s\n" : "#\n", (int)size, about);
        about += size + (about[size] == '\n');
    }
    shoal_text_appendf(&text, "# Made by %s", slash ? slash + 1 : generator->options.path);
    for (uint32_t i = 0; i < generator->parameter_count; i++) {
        const shoal_lua_parameter *parameter = &generator->parameters[i];
        shoal_text_appendf(&text, " %s=%s", parameter->name, parameter->value);
    }
    shoal_text_appendf(&text, ".\n");
    shoal_line *line = &schedule->lines[1];
    SHOAL_ASSERT(schedule->count > 1 && line->kind == SHOAL_LINE_SEED);
    if (line->comment_before) shoal_text_appendf(&text, "%s", line->comment_before);
    shoal_sim__free(line->comment_before);
    line->comment_before = shoal_line__copy(shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
}

/* The schedule that the file has written by itself. */
static bool finish_file(shoal_generator *generator, shoal_schedule *out)
{
    shoal_schedule_error error;
    shoal_schedule_builder *builder = generator->builder;
    generator->builder = NULL;
    if (shoal_schedule_build_end(builder, out, &error) == SHOAL_ERR_OK) {
        head_comment(generator, out);
        return true;
    }
    bool known = error.line > 0 && error.line <= generator->origin_count;
    uint32_t line = known ? generator->origins[error.line - 1] : 0;
    if (known && line > 0) {
        snprintf(generator->error, sizeof(generator->error), "%s:%u: %s", generator->options.path,
                 line, error.message);
    } else {
        snprintf(generator->error, sizeof(generator->error),
                 "%s: the file makes no schedule: cluster{...} is missing",
                 generator->options.path);
    }
    return false;
}

/* Replaces a schedule by what its canonical text, and the lines of reactions behind it, say. */
static void reread(const shoal_generator *generator, uint32_t late_count, shoal_schedule *schedule)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    shoal_schedule_error error;
    shoal_schedule_format(schedule, true, &text);
    for (uint32_t i = 0; i < late_count; i++) {
        shoal_text_appendf(&text, "%ldus ", (long)generator->late[i]->at_us);
        shoal_line_format(generator->late[i], &text);
        shoal_text_appendf(&text, "\n");
    }
    shoal_schedule_free(schedule);
    shoal_err result = shoal_schedule_parse(shoal_buffer_slice(&text), schedule, &error);
    SHOAL_ASSERT(result == SHOAL_ERR_OK);
    shoal_buffer_free(&text);
}

/* Adds what the reactions have written, and gives every line the number that it has in a file. */
static void settle(const shoal_generator *generator, shoal_schedule *schedule)
{
    reread(generator, generator->late_count, schedule);
    reread(generator, 0, schedule);
}

bool shoal_generator__schedule(shoal_generator *generator, shoal_schedule *out)
{
    SHOAL_ASSERT(generator->builder != NULL);
    *out = (shoal_schedule){0};
    if (!run_file(generator) || !check_settings(generator)) return false;
    if (!finish_file(generator, out)) return false;
    settle(generator, out);
    if (generator->hook_count == 0) return true;
    generator->schedule = out;
    bool good = shoal_lua__react(generator);
    generator->schedule = NULL;
    if (good) settle(generator, out);
    good = good && shoal_lua__confirm(generator, out);
    if (!good) shoal_schedule_free(out);
    return good;
}
