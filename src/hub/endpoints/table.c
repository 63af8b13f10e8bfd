/* What the table of an endpoint is: its names, its statements, its rows. Pure.
 *
 * A row's key is the hub, the message's place in the hub's log, and when it was stored there: what
 * comes again is there already, and a hub that begins anew repeats none. */
#include "hub/endpoints/table.h"

#include <stdio.h>

#include "hub/endpoints/message_file.h"
#include "model/json_text.h"

enum which { HUB, SEQUENCE, ENQUEUED, SOURCE, DEVICE, MODULE, PROPERTIES, SYSTEM, BODY, RAW };

static const struct {
    const char *name, *type;
} columns[TABLE_COLUMNS_MAX] = {
    [HUB] = {"hub", "text NOT NULL"},
    [SEQUENCE] = {"sequence", "bigint NOT NULL"},
    [ENQUEUED] = {"enqueued", "timestamptz NOT NULL"},
    [SOURCE] = {"source", "text NOT NULL"},
    [DEVICE] = {"device", "text"},
    [MODULE] = {"module", "text"},
    [PROPERTIES] = {"properties", "jsonb NOT NULL"},
    [SYSTEM] = {"system", "jsonb NOT NULL"},
    [BODY] = {"body", "jsonb"},
    [RAW] = {"raw", "bytea"},
};

/* ---- names ---- */

static bool is_name(struct sk_span name) {
    return name.n > 0 && name.n <= 63 && sk_span_only(name, "_");
}

bool table_name_fine(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    size_t dot = sk_span_find(text, '.');
    snprintf(why, SK_CONFIG_WHY_MAX,
             "a table is like telemetry or plant.telemetry: letters, digits and underscores, at "
             "most 63");
    return is_name(sk_span_first(text, dot)) &&
           (dot == text.n || is_name(sk_span_skip(text, dot + 1)));
}

/* TABLE_COLUMNS_MAX: there is none. */
static size_t which_of(struct sk_span column) {
    size_t equals = sk_span_find(column, '='), i = 0;
    struct sk_span name = equals < column.n ? sk_span_skip(column, equals + 1) : column;
    while (i < TABLE_COLUMNS_MAX && !sk_span_is(name, columns[i].name)) i++;
    return i;
}

bool table_column_fine(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX, "a column is one of " TABLE_COLUMNS ", or name=one of these");
    return which_of(text) < TABLE_COLUMNS_MAX &&
           is_name(sk_span_first(text, sk_span_find(text, '=')));
}

size_t table_column_count(const struct sk_hub_endpoint *options) {
    return options->column_count ? options->column_count : TABLE_COLUMNS_MAX;
}

struct column {
    struct sk_span name;
    size_t which;
};

static struct column column_at(const struct sk_hub_endpoint *options, size_t i) {
    if (options->column_count == 0) return (struct column){sk_span_z(columns[i].name), i};
    struct sk_span text = sk_span_z(options->columns[i]);
    return (struct column){sk_span_first(text, sk_span_find(text, '=')), which_of(text)};
}

/* ---- statements ---- */

static void put_table(const struct sk_hub_endpoint *options, struct sk_buffer *sql) {
    struct sk_span rest = sk_span_z(options->table), part;
    for (bool first = true; sk_span_split(&rest, '.', &part); first = false)
        sk_buffer_print(sql, "%s\"%.*s\"", first ? "" : ".", SK_ARG(part));
}

/* The columns that make the key; fewer than all three: there is none. */
static void put_key(const struct sk_hub_endpoint *options, struct sk_buffer *sql) {
    struct sk_span names[3] = {{0}};
    for (size_t i = 0; i < table_column_count(options); i++) {
        struct column column = column_at(options, i);
        if (column.which <= ENQUEUED) names[column.which] = column.name;
    }
    if (names[HUB].n && names[SEQUENCE].n && names[ENQUEUED].n)
        sk_buffer_print(sql, ", PRIMARY KEY (\"%.*s\", \"%.*s\", \"%.*s\")", SK_ARG(names[HUB]),
                        SK_ARG(names[SEQUENCE]), SK_ARG(names[ENQUEUED]));
}

void table_put_create(const struct sk_hub_endpoint *options, struct sk_buffer *sql) {
    sk_buffer_text(sql, "CREATE TABLE IF NOT EXISTS ");
    put_table(options, sql);
    for (size_t i = 0; i < table_column_count(options); i++) {
        struct column column = column_at(options, i);
        sk_buffer_print(sql, "%s\"%.*s\" %s", i ? ", " : " (", SK_ARG(column.name),
                        columns[column.which].type);
    }
    put_key(options, sql);
    sk_buffer_byte(sql, ')');
    sk_buffer_byte(sql, 0);
}

void table_put_insert(const struct sk_hub_endpoint *options, size_t rows, struct sk_buffer *sql) {
    size_t count = table_column_count(options);
    sk_buffer_text(sql, "INSERT INTO ");
    put_table(options, sql);
    for (size_t i = 0; i < count; i++)
        sk_buffer_print(sql, "%s\"%.*s\"", i ? ", " : " (", SK_ARG(column_at(options, i).name));
    sk_buffer_text(sql, ") VALUES ");
    for (size_t i = 0; i < rows * count; i++)
        sk_buffer_print(sql, "%s$%zu%s",
                        i == 0      ? "("
                        : i % count ? ", "
                                    : ", (",
                        i + 1, i % count == count - 1 ? ")" : "");
    sk_buffer_text(sql, " ON CONFLICT DO NOTHING");
    sk_buffer_byte(sql, 0);
}

/* ---- rows ---- */

static struct sk_span text_of(json_t *document, struct sk_arena *arena) {
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    json_decref(document);
    return sk_arena_copy(arena, sk_span_z(text));
}

static bool is_json(struct sk_span body) {
    json_t *json = sk_json_load(body, JSON_DECODE_ANY, NULL);
    json_decref(json);
    return json != NULL;
}

static struct sk_span hex_of(struct sk_span body, struct sk_arena *arena) {
    struct sk_buffer hex = {0};
    sk_buffer_text(&hex, "\\x");
    sk_hex_encode(&hex, body);
    struct sk_span text = sk_arena_copy(arena, sk_buffer_span(&hex));
    sk_buffer_free(&hex);
    return text;
}

static struct sk_span time_of(const struct sk_message *message, struct sk_arena *arena) {
    char when[SK_TIME_TEXT];
    sk_time_text(message->enqueued_us, when);
    return sk_arena_copy(arena, sk_span_z(when));
}

static struct sk_span value_of(size_t which, const char *hub, const struct sk_message *message,
                               struct sk_arena *arena) {
    struct sk_span source = SK_SPAN("");
    switch ((enum which)which) {
    case HUB: return sk_span_z(hub);
    case SEQUENCE: return sk_arena_print(arena, "%llu", (unsigned long long)message->sequence);
    case ENQUEUED: return time_of(message, arena);
    case SOURCE:
        sk_message_system(message, SK_SPAN("iothub-message-source"), &source);
        return source;
    case DEVICE: return message->device.n ? message->device : SK_NONE;
    case MODULE: return message->module.n ? message->module : SK_NONE;
    case PROPERTIES: return text_of(message_properties_json(message), arena);
    case SYSTEM: return text_of(message_system_json(message), arena);
    case BODY: return is_json(message->body) ? sk_without_bom(message->body) : SK_NONE;
    case RAW: return is_json(message->body) ? SK_NONE : hex_of(message->body, arena);
    }
    return SK_NONE;
}

void table_row(const struct sk_hub_endpoint *options, const char *hub,
               const struct sk_message *message, struct sk_arena *arena, struct sk_span *values) {
    for (size_t i = 0; i < table_column_count(options); i++)
        values[i] = value_of(column_at(options, i).which, hub, message, arena);
}
