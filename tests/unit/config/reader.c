/* One reader for tables of keys: what is read, told and refused, whatever the keys are. */
#include <stdio.h>

#include "config/config.h"
#include "config/toml.h"
#include "io/io.h"
#include "support/test.h"

enum colour { RED, GREEN };
struct room {
    const char *name;
    unsigned size;
};
struct house {
    const char *name, *plan, *word;
    bool heated;
    uint16_t floors;
    int64_t age_us;
    enum colour colour;
    const char **owners;
    size_t owner_count;
    struct sk_endpoint *doors;
    size_t door_count;
    json_t *notes;
    unsigned heat;
    struct room *rooms;
    size_t room_count;
};

#define AT(field) SK_CONFIG_AT(struct house, field)

static const struct sk_config_key keys[] = {
    {"name", &sk_config_text, AT(name), .need = "give it a name", .does = "Its name"},
    {"plan", &sk_config_path, AT(plan), .does = "A file"},
    {"heated", &sk_config_boolean, AT(heated), .otherwise = "true", .does = "Whether it is warm"},
    {"floors", &sk_config_integer, AT(floors), .least = 1, .most = 3, .otherwise = "2",
     .does = "How high it is"},
    {"age", &sk_config_duration, AT(age_us), .least = 1000000, .most = 86400000000,
     .does = "How old it is"},
    {"colour", &sk_config_choice, AT(colour), .choices = "red|green", .otherwise = "\"red\"",
     .does = "How it looks"},
    {"owners", &sk_config_texts, SK_CONFIG_LIST(struct house, owners, owner_count), .most = 2,
     .does = "Whose it is"},
    {"doors", &sk_config_addresses, SK_CONFIG_LIST(struct house, doors, door_count),
     .does = "Ways in"},
    {"word", &sk_config_text, AT(word), .secret = true, .does = "What opens it"},
    {"notes", &sk_config_map, AT(notes), .does = "What else there is to say"},
    {"notes.heat", &sk_config_integer, AT(heat), .least = 1, .does = "How warm it is"},
    {"old", &sk_config_any, .unused = true},
    {"room[]", &sk_config_tables, SK_CONFIG_LIST(struct house, rooms, room_count), .most = 2,
     .does = "Rooms"},
    {"room[].name", &sk_config_text, SK_CONFIG_AT(struct room, name), .need = "give it a name",
     .does = "Its name"},
    {"room[].door", &sk_config_table, .does = "Its door"},
    {"room[].door.size", &sk_config_integer, SK_CONFIG_AT(struct room, size), .least = 1,
     .otherwise = "7", .does = "How wide it is"},
    {0}};
static const struct sk_config_key *const tables[] = {keys, NULL};

static struct house house;
static struct sk_arena arena;
static struct sk_buffer told;
static char error[SK_CONFIG_ERROR_MAX], warned[200];

static void keep_warning(const char *sentence) {
    snprintf(warned, sizeof warned, "%s", sentence);
}

static void let_go(void) {
    sk_arena_free(&arena);
    sk_buffer_free(&told);
    json_decref(house.notes);
    house = (struct house){0};
}

static enum sk_status reads(const char *text) {
    json_t *document, *lines;
    let_go();
    if (sk_toml_parse(sk_span_z(text), "f", &document, &lines, error)) fail_msg("%s", error);
    error[0] = warned[0] = 0;
    struct sk_config reading = {.keys = tables,
                                .file = "f",
                                .folder = "/etc/house",
                                .lines = lines,
                                .arena = &arena,
                                .warning = keep_warning,
                                .told = &told,
                                .error = error};
    enum sk_status status = sk_config_read(&reading, document, &house);
    json_decref(document);
    json_decref(lines);
    return status;
}

TEST(every_type_goes_where_its_row_says) {
    assert_int_equal(
        reads("name = \"n\"\nplan = \"p.txt\"\nheated = false\nfloors = 3\nage = \"1h\"\n"
              "colour = \"green\"\nowners = [\"a\", \"b\"]\ndoors = [\"x\", \"[::1]:7\"]\n"
              "notes = { a = 1, b = true, c = \"t\", heat = 5 }\n"
              "[[room]]\nname = \"r\"\n[room.door]\nsize = 9\n[[room]]\nname = \"s\"\n"),
        SK_OK);
    assert_string_equal(house.plan, "/etc/house/p.txt");
    assert_false(house.heated);
    assert_int_equal(house.floors, 3);
    assert_int_equal(house.age_us, 3600000000);
    assert_int_equal(house.colour, GREEN);
    assert_int_equal(house.owner_count, 2);
    assert_string_equal(house.owners[1], "b");
    assert_int_equal(house.door_count, 4); /* one of each port that SDKs dial */
    assert_string_equal(house.doors[3].host, "::1");
    assert_int_equal(house.doors[3].port, 7);
    assert_string_equal(json_string_value(json_object_get(house.notes, "b")), "true");
    assert_int_equal(house.heat, 5);
    assert_int_equal(house.room_count, 2);
    assert_int_equal(house.rooms[0].size, 9);
    assert_string_equal(house.rooms[1].name, "s");
    assert_int_equal(house.rooms[1].size, 7); /* the default below a table that is not there */
    let_go();
}

TEST(what_counts_is_told_and_secrets_are_not) {
    assert_int_equal(reads("name = \"n\"\nword = \"sesame\"\nfloors = 1\n"), SK_OK);
    sk_buffer_byte(&told, 0);
    assert_string_equal(told.p, "name = \"n\"\nheated = true (default)\nfloors = 1\n"
                                "colour = \"red\" (default)\nword = …\n");
    let_go();
}

TEST(a_key_without_effect_is_a_warning) {
    assert_int_equal(reads("name = \"n\"\n\nold = [1]\n"), SK_OK);
    assert_string_equal(warned, "f:3: old is not used here.");
    let_go();
}

TEST(each_mistake_has_its_sentence) {
    static const struct {
        const char *line, *sentence;
    } cases[] = {
        {"nam = 1", "nam: is not known; did you mean name?"},
        {"telescope = 1", "telescope: is not known; remove it or correct its name."},
        {"\"heated.house\" = 1", "heated.house: is not known; remove it or correct its name."},
        {"plan = 5", "plan: must be a file's name in quotes."},
        {"plan = \"\"", "plan: must not be empty; remove it instead."},
        {"plan = \"a\\u0000b\"", "plan: must not be empty; remove it instead."},
        {"heated = 1", "heated: must be true or false."},
        {"floors = 4", "floors: must be a whole number from 1 to 3."},
        {"floors = 1.5", "floors: must be a whole number from 1 to 3."},
        {"age = \"2d\"",
         "age: must be a time from 1 second to 1 day, such as \"90s\" or \"PT1M30S\"."},
        {"colour = \"blue\"", "colour: must be \"red\" or \"green\"."},
        {"owners = [\"a\", \"b\", \"c\"]", "owners: must be a list of at most 2 texts."},
        {"owners = [\"a\", \"\"]", "owners[1]: must not be empty; remove it instead."},
        {"notes = { a = [] }", "notes: must be a table of texts and numbers."},
        {"notes = { heat = 0 }", "notes.heat: must be a whole number of 1 or more."},
        {"room = 1", "room: must be a list of at most 2 tables."},
        {"room = [{}]", "room[0].name: is missing; give it a name."},
        {"room = [{name = \"r\", door = 1}]", "room[0].door: must be a table."},
        {"room = [{name = \"r\", dor = {}}]",
         "room[0].dor: is not known; did you mean room[0].door?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200], wanted[300];
        snprintf(text, sizeof text, "name = \"n\"\n%s\n", cases[i].line);
        snprintf(wanted, sizeof wanted, "f:2: %s", cases[i].sentence);
        if (reads(text) == SK_OK) fail_msg("%s is taken", cases[i].line);
        if (cases[i].line[0] == '"') /* its line is the table's, which has none */
            snprintf(wanted, sizeof wanted, "f: %s", cases[i].sentence);
        assert_string_equal(error, wanted);
    }
    let_go();
}

TEST(all_mistakes_are_told_while_there_is_room) {
    struct sk_buffer text = {0};
    assert_int_equal(reads("floors = 4\nheated = 1\n"), SK_INVALID);
    assert_string_equal(error, "f: name: is missing; give it a name.\n"
                               "f:2: heated: must be true or false.\n"
                               "f:1: floors: must be a whole number from 1 to 3.");
    for (int i = 0; i < 100; i++) sk_buffer_print(&text, "unknown_%d = 1\n", i);
    sk_buffer_byte(&text, 0);
    assert_int_equal(reads(text.p), SK_INVALID);
    assert_true(strlen(error) > SK_CONFIG_ERROR_MAX - 100);
    assert_int_equal(error[strlen(error) - 1], '.'); /* whole sentences */
    sk_buffer_free(&text);
    let_go();
}
