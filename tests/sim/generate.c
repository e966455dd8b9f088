/* SPDX-License-Identifier: MIT
 *
 * Generators: Lua files that write schedules, what they cannot do, and reactions.
 */
#include "sim_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "sim/generate.h"

/* What a file printed. */
typedef struct printed {
    char text[1024];
} printed;

static void keep_print(void *context, shoal_slice text)
{
    printed *all = context;
    size_t used = strlen(all->text);
    snprintf(all->text + used, sizeof(all->text) - used, "%.*s", (int)text.size, text.data);
}

/* A generator of this text; nothing it prints is lost. */
static shoal_generator *make(const char *text, printed *all)
{
    shoal_generator_options options = {.path = "x.lua",
                                       .text = shoal_text(text),
                                       .print = keep_print,
                                       .print_context = all};
    return shoal_generator__make(&options);
}

/* The canonical text that a file writes; owned by the caller. */
static char *written(const shoal_generator_options *options)
{
    shoal_schedule schedule;
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer out = shoal_buffer_make(&memory);
    shoal_generator *generator = shoal_generator__make(options);
    if (!shoal_generator__schedule(generator, &schedule)) {
        fail_msg("%s", shoal_generator__error(generator));
    }
    shoal_schedule_format(&schedule, true, &out);
    shoal_slice bytes = shoal_buffer_slice(&out);
    char *text = calloc(1, bytes.size + 1);
    memcpy(text, bytes.data, bytes.size);
    shoal_buffer_free(&out);
    shoal_schedule_free(&schedule);
    shoal_generator__free(generator);
    return text;
}

static char *written_by(const char *text)
{
    shoal_generator_options options = {.path = "folder/x.lua", .text = shoal_text(text)};
    return written(&options);
}

static void expect_written(const char *text, const char *wanted)
{
    char *found = written_by(text);
    assert_string_equal(found, wanted);
    free(found);
}

/* Fails unless the file is refused and the error has these words. */
static void refused(const char *text, const char *words)
{
    shoal_schedule schedule;
    printed all = {""};
    shoal_generator *generator = make(text, &all);
    assert_false(shoal_generator__schedule(generator, &schedule));
    assert_int_equal(schedule.count, 0);
    if (strstr(shoal_generator__error(generator), words) == NULL) {
        fail_msg("found: %s", shoal_generator__error(generator));
    }
    shoal_generator__free(generator);
}

static void expect_printed(const char *text, const char *wanted)
{
    shoal_schedule schedule;
    printed all = {""};
    shoal_generator *generator = make(text, &all);
    if (!shoal_generator__schedule(generator, &schedule)) {
        fail_msg("%s", shoal_generator__error(generator));
    }
    assert_string_equal(all.text, wanted);
    shoal_schedule_free(&schedule);
    shoal_generator__free(generator);
}

#define THREE "cluster{nodes=3, node_timeout='2s'} "

/* ---- what is written ---- */

static void a_file_writes_a_canonical_schedule(void **state)
{
    (void)state;
    expect_written("about 'Two lines\\nabout it.'\n"
                   "local n = param('nodes', 3, 'how many')\n"
                   "seed(9) cluster{nodes=n, node_timeout='2000ms'}\n"
                   "config('*', 'appendonly yes')\n"
                   "for i = 2, n do at(us('6s') + i * 500, 'crash n%d power', i) end\n"
                   "say('5500ms', 'a \"word\"')\n"
                   "expect(4000000, 'converge within 2s')\n",
                   "schedule v1\n"
                   "# Two lines\n"
                   "# about it.\n"
                   "# Made by x.lua nodes=3.\n"
                   "seed 9\n"
                   "cluster nodes 3 node_timeout 2s meet star\n"
                   "config * appendonly yes\n"
                   "4s        expect converge within 2s\n"
                   "5500ms    say \"a \\\"word\\\"\"\n"
                   "6001ms    crash n2 power\n"
                   "6001500us crash n3 power\n");
}

static void masters_and_replicas_make_nodes(void **state)
{
    (void)state;
    expect_written("cluster{masters=3, replicas=1, node_timeout='1s', meet='chain'}",
                   "schedule v1\n# Made by x.lua.\nseed 1\n"
                   "cluster nodes 6 masters 3 replicas 1 node_timeout 1s meet chain\n");
}

static void settings_replace_defaults_of_their_type(void **state)
{
    (void)state;
    static const char text[] = "local n = param('n', 3, 'a') local b = param('b', false, 'b') "
                               "local s = param('s', '1s', 'c') cluster{nodes=n + 1} "
                               "if b then at(s, 'crash n1') end";
    const char *const settings[] = {"s=2s", "b=true", "n=4"};
    shoal_generator_options options = {.path = "x.lua",
                                       .text = shoal_text(text),
                                       .settings = settings,
                                       .setting_count = 3,
                                       .has_seed = true,
                                       .seed = UINT64_C(18446744073709551000)};
    char *found = written(&options);
    assert_string_equal(found, "schedule v1\n# Made by x.lua n=4 b=true s=2s.\n"
                               "seed 18446744073709551000\n"
                               "cluster nodes 5 node_timeout 15s meet star\n2s        crash n1\n");
    free(found);
}

/* ---- what is wrong ---- */

static void an_error_names_the_line_and_what_would_have_fitted(void **state)
{
    (void)state;
    refused(THREE "\n\nat('6s', 'crahs n2')", "x.lua:3: found \"crahs\", expected net, client, ");
    refused(THREE "\n\nat('6s', 'crahs n2')", "did you mean crash?\n    6s crahs n2\n       ^");
    refused(THREE "\nfor i = 1, 4 do\nat('6s', 'crash n%d', i) end",
            "x.lua:3: found \"n4\", but the cluster line has nodes n1 to n3 only");
    refused("at('6s', 'crash n1')", "x.lua:1: found \"crash\", but the cluster line must come");
    refused(THREE "\nat('6s', 'stop c1')", "x.lua:2: found \"c1\", but no client line starts it");
    refused("\nlocal x = 3", "x.lua: the file makes no schedule: cluster{...} is missing");
    refused("x = = 1", "x.lua:1: unexpected symbol");
    refused("error({})", "x.lua: the file ended with an error that is no text");
    refused(THREE "cluster{nodes=4}", "a schedule has one cluster line");
    refused("cluster{nodes=3, mastres=2}", "cluster has no \"mastres\"");
    refused(THREE "at('1s', 'say \"a\\nb\"')", "no newline");
}

static void fractions_are_refused(void **state)
{
    (void)state;
    refused("cluster{nodes=2.5}", "x.lua:1: nodes must be a whole number, not 2.5");
    refused(THREE "at(0.5, 'crash n1')", "must be a whole number, not 0.5");
    refused(THREE "at('1s', 'crash n%d', 3 / 2)", "must be a whole number, not 1.5");
    refused(THREE "at('1s', 'crash n%s', 3 / 2)", "must be a whole number, not 1.5");
    refused(THREE "at('1s', 'crash n%f', 3)", "is no conversion, expected %d, %x or %s");
    refused("seed(1e17) " THREE, "seed(n) must be a whole number");
}

static void what_is_not_determined_is_not_there(void **state)
{
    (void)state;
    static const char *const names[] = {"os",       "io",        "require",    "dofile",
                                        "loadfile", "load",      "loadstring", "next",
                                        "pcall",    "coroutine", "debug",      "setmetatable"};
    char text[64], words[64];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(text, sizeof(text), "\nlocal x = %s", names[i]);
        snprintf(words, sizeof(words), "x.lua:2: there is no '%s' here", names[i]);
        refused(text, words);
    }
    refused("math.random(3)", "there is no math.random here: use random(\"name\"):below(n)");
    refused("tostring({})", "a table has no text: it would be an address");
    refused("print(print)", "a function has no text");
    refused("('x'):dump()", "there is no string.dump here");
    refused("for k in pairs{[{}]=1} do end", "pairs: a table as a key has no order");
    refused("\x1bLua", "x.lua:1: this is compiled Lua");
}

static void instructions_and_memory_are_bounded(void **state)
{
    (void)state;
    refused("\nwhile true do end", "x.lua:2: the file has used its 50000000 instructions");
    refused("local t = {}\nwhile true do t[#t + 1] = {} end",
            "x.lua:2: the file uses more than its 65536 KiB of memory");
    refused("local s = ('x'):rep(1e6)\nfor i = 1, 99 do s = s .. s end", "KiB of memory");
    refused("local s = ('x'):rep(1e12)", "x.lua:1: the repeated text is too long");
    refused("local function f() return 1 + f() end f()", "stack overflow");
    refused("(('a'):rep(2000)):find('.-.-.-b')", "this pattern could take too long");
}

/* ---- what is determined ---- */

static void pairs_go_in_the_order_of_keys(void **state)
{
    (void)state;
    expect_printed(THREE "for k, v in pairs{b=1, a=2, [10]=3, [2]=4, [true]=5, aa=6, [-1]=7} do "
                         "print(k, v) end",
                   "true 5\n-1 7\n2 4\n10 3\na 2\naa 6\nb 1\n");
    expect_printed(THREE "local t = {a=1, b=2, c=3} "
                         "for k in pairs(t) do t.b = nil print(k) end print(#t)",
                   "a\nc\n0\n");
}

static void random_streams_have_names(void **state)
{
    (void)state;
    char *one = written_by(THREE "local a = random('a') for i = 1, 20 do "
                                 "at(a:below(1000), 'crash n%d', 1 + a:below(3)) end");
    char *two =
        written_by(THREE "local b, a = random('b'), random('a') for i = 1, 20 do b:below(7) "
                         "at(random('a'):below(1000), 'crash n%d', 1 + a:below(3)) end");
    char *three = written_by("seed(2) " THREE "local a = random('a') for i = 1, 20 do "
                             "at(a:below(1000), 'crash n%d', 1 + a:below(3)) end");
    assert_string_equal(one, two);
    assert_string_not_equal(one, three);
    free(one);
    free(two);
    free(three);
    expect_printed(THREE "local r = random('x') local ones = 0 for i = 1, 1000 do "
                         "local n = r:between(3, 5) assert(n >= 3 and n <= 5) "
                         "if r:chance(30) then ones = ones + 1 end "
                         "assert(r:pick{7} == 7) end assert(ones > 200 and ones < 400) "
                         "local s = r:shuffle{1, 2, 3, 4} table.sort(s) print(table.concat(s))",
                   "1234\n");
    refused("random('a') seed(3)", "seed(n) comes before the first line and the first random");
    refused("random(3)", "random wants the name of a stream");
    refused("random('a'):pick{}", "pick(list) needs a list that is not empty");
}

/* ---- reactions ---- */

#define ELECTION                                                            \
    "seed(5) cluster{masters=3, replicas=2, node_timeout='2s'}"             \
    "config('*', 'repl-diskless-sync-delay 0')"                             \
    "at('0s', 'net * latency 500us jitter 200us dist lognormal split 2%') " \
    "at('7s', 'client c1 rate 100/s keys uniform(100)')"                    \
    "at('14s', 'crash n1 power')"                                           \
    "expect('40s', 'converge within 20s') "
#define WINNER_DIES                                           \
    "when('election', {step=2, limit=2}, function(event)\n"   \
    "say('+1us', '%s won for %s', event.node, event.about)\n" \
    "at('+10ms', 'crash %s power', event.node)\n"             \
    "at(event.time + us('15s'), 'restart %s', event.node)\n"  \
    "expect('+20ms', 'failovers >= 1') end)"

static void a_replay_without_lua_is_the_same_run(void **state)
{
    (void)state;
    shoal_schedule schedule;
    shoal_world_result result;
    shoal_generator_options options = {.path = "x.lua", .text = shoal_text(ELECTION WINNER_DIES)};
    shoal_generator *generator = shoal_generator__make(&options);
    if (!shoal_generator__schedule(generator, &schedule)) {
        fail_msg("%s", shoal_generator__error(generator));
    }
    shoal_generator__free(generator);
    shoal_world *world = sim_world(&schedule, -1);
    shoal_world_run(world);
    shoal_world_result_get(world, &result);
    shoal_world_destroy(world);
    shoal_schedule_free(&schedule);

    char *text = written_by(ELECTION WINNER_DIES);
    assert_non_null(strstr(text, " won for n1\""));
    assert_non_null(strstr(text, "us crash n"));
    shoal_world_result again = sim_run(text, 0x55);
    assert_true(again.trace_hash == result.trace_hash);
    assert_true(again.event_hash == result.event_hash);
    assert_false(again.violated);
    free(text);
}

static void a_reaction_comes_as_often_as_it_may(void **state)
{
    (void)state;
    char *text = written_by(THREE "for i = 5, 9 do at(i * 1000000, 'crash n1') "
                                  "at(i * 1000000 + 500000, 'restart n1') end "
                                  "when('node_crashed', {node='n1', after='6s', limit=2}, "
                                  "function(e) say('+1ms', 'dead') end)"
                                  "when('node_crashed', {node='n2'}, "
                                  "function(e) say('+1ms', 'never') end)");
    assert_non_null(strstr(text, "6001ms    say \"dead\"\n"));
    assert_non_null(strstr(text, "7001ms    say \"dead\"\n"));
    assert_null(strstr(text, "5001ms"));
    assert_null(strstr(text, "8001ms"));
    assert_null(strstr(text, "never"));
    free(text);
}

static void a_reaction_can_set_off_another(void **state)
{
    (void)state;
    char *text = written_by(THREE "at('5s', 'crash n1') at('9s', 'say \"end\"') "
                                  "when('node_crashed', function(e) "
                                  "if e.node ~= 'n3' then at('+1s', 'crash n%d', "
                                  "({n1=2, n2=3})[e.node]) end end)");
    assert_non_null(strstr(text, "6s        crash n2\n7s        crash n3\n9s "));
    free(text);
}

static void what_comes_after_the_end_of_the_run_is_not_recorded(void **state)
{
    (void)state;
    char *text = written_by(THREE "at('5s', 'crash n1') when('node_crashed', function(e) "
                                  "at('+1s', 'restart n1') end)");
    shoal_world_result result = sim_run(text, -1);
    assert_true(result.events > 0);
    assert_null(strstr(text, "restart"));
    free(text);
}

static void wrong_reactions_are_refused(void **state)
{
    (void)state;
    refused(THREE "when('fial', function() end)", "x.lua:1: found \"fial\", expected a kind");
    refused(THREE "when('fail', {nde='n1'}, function() end)",
            "a record FAIL has no \"nde\", expected node, about, reports, needed, ");
    refused(THREE "when('fail', 3)", "when wants a kind of record");
    refused(THREE "at('+1s', 'crash n1')", "counts from what a reaction reacts to");
#define DIES THREE "at('5s', 'crash n1') at('9s', 'end') when('node_crashed', function(e)\n"
    refused(DIES "at('+0s', 'restart n1') end)", "x.lua:2: a reaction comes after what");
    refused(DIES "at('4s', 'restart n1') end)", "x.lua:2: a reaction comes after what");
    refused(DIES "at('+1s', 'restrat n1') end)", "x.lua:2: found \"restrat\", expected");
    refused(DIES "config('n1', 'port 3') end)", "config belongs to the set-up");
    refused(DIES "at('+1s', 'client c1 rate 5/s') end)", "clients go from c1 to c0 only");
    refused(DIES "expect('+1s', 'ops >= 1 since 5s') end)", "cannot count since an earlier time");
    refused(DIES "while true do end end)", "x.lua:2: the file has used its 50000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_writes_a_canonical_schedule),
        cmocka_unit_test(masters_and_replicas_make_nodes),
        cmocka_unit_test(settings_replace_defaults_of_their_type),
        cmocka_unit_test(an_error_names_the_line_and_what_would_have_fitted),
        cmocka_unit_test(fractions_are_refused),
        cmocka_unit_test(what_is_not_determined_is_not_there),
        cmocka_unit_test(instructions_and_memory_are_bounded),
        cmocka_unit_test(pairs_go_in_the_order_of_keys),
        cmocka_unit_test(random_streams_have_names),
        cmocka_unit_test(a_replay_without_lua_is_the_same_run),
        cmocka_unit_test(a_reaction_comes_as_often_as_it_may),
        cmocka_unit_test(a_reaction_can_set_off_another),
        cmocka_unit_test(what_comes_after_the_end_of_the_run_is_not_recorded),
        cmocka_unit_test(wrong_reactions_are_refused),
    };
    return cmocka_run_group_tests_name("sim_generate", tests, NULL, NULL);
}
