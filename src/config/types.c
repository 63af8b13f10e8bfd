/* What keys may hold. */
#include <stdio.h>

#include "base/text.h"
#include "config/config.h"
#include "io/io.h"

/* ---- sentences ---- */

/* "1 minute", "2 days": in the largest unit that leaves no rest. */
static void put_duration(struct sk_buffer *to, int64_t us) {
    static const struct {
        int64_t us;
        const char *name;
    } units[] = {{86400000000, "day"},
                 {3600000000, "hour"},
                 {60000000, "minute"},
                 {1000000, "second"},
                 {1000, "millisecond"}};
    size_t i = 0, last = sizeof units / sizeof *units - 1;
    while (i < last && us % units[i].us != 0) i++;
    int64_t n = us / units[i].us;
    sk_buffer_print(to, "%lld %s%s", (long long)n, units[i].name, n == 1 ? "" : "s");
}

static void put_limit(struct sk_buffer *to, const struct sk_config_key *key, int64_t limit) {
    if (key->type->put_limit)
        key->type->put_limit(to, limit);
    else
        sk_buffer_print(to, "%lld", (long long)limit);
}

static void put_choices(struct sk_buffer *to, const char *choices) {
    struct sk_span rest = sk_span_z(choices), choice;
    for (bool first = true; sk_span_split(&rest, '|', &choice); first = false)
        sk_buffer_print(to, "%s\"%.*s\"", first ? "" : rest.p ? ", " : " or ", SK_ARG(choice));
}

void sk_config_put_must(struct sk_buffer *to, const struct sk_config_key *key) {
    const struct sk_config_type *type = key->type;
    sk_buffer_text(to, type->words);
    if (key->choices) put_choices(to, key->choices);
    if (key->least == 0 && key->most == 0) {
        if (type->tail) sk_buffer_text(to, type->tail);
        return;
    }
    sk_buffer_text(to, key->most || type->unit ? type->link : " of ");
    if (key->least == 0) sk_buffer_text(to, "at most ");
    if (key->least && key->least != key->most) put_limit(to, key, key->least);
    if (key->least && key->least != key->most) sk_buffer_text(to, key->most ? " to " : " or more");
    if (key->most) put_limit(to, key, key->most);
    if (type->unit) sk_buffer_text(to, type->unit);
}

/* ---- numbers ---- */

void sk_config_store(const struct sk_config_key *key, void *to, int64_t number) {
    if (key->size == sizeof(uint8_t)) memcpy(to, &(uint8_t){(uint8_t)number}, 1);
    if (key->size == sizeof(uint16_t)) memcpy(to, &(uint16_t){(uint16_t)number}, 2);
    if (key->size == sizeof(uint32_t)) memcpy(to, &(uint32_t){(uint32_t)number}, 4);
    if (key->size == sizeof(uint64_t)) memcpy(to, &number, 8);
}

/* Takes whatever its type measures. */
static void take_measure(struct sk_config *config, const struct sk_config_key *key,
                         const char *path, const json_t *value, void *to) {
    int64_t n = 0;
    (void)config, (void)path;
    if (to && key->type->measure(key, value, &n)) sk_config_store(key, to, n);
}

static bool measure_boolean(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key;
    *n = json_is_true(value);
    return json_is_boolean(value);
}

static bool measure_integer(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key;
    *n = json_integer_value(value);
    return json_is_integer(value);
}

static bool measure_bytes(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    return measure_integer(key, value, n) && *n >= 0;
}

static bool measure_duration(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key;
    return json_is_string(value) &&
           sk_duration_parse(sk_span(json_string_value(value), json_string_length(value)), n) ==
               SK_OK &&
           *n > 0;
}

const struct sk_config_type sk_config_boolean = {
    .words = "true or false", .measure = measure_boolean, .take = take_measure};
const struct sk_config_type sk_config_integer = {
    .words = "a whole number", .link = " from ", .measure = measure_integer, .take = take_measure};
const struct sk_config_type sk_config_bytes = {
    .words = "a number of bytes", .link = " from ", .measure = measure_bytes, .take = take_measure};
const struct sk_config_type sk_config_duration = {.words = "a time",
                                                  .link = " from ",
                                                  .measure = measure_duration,
                                                  .put_limit = put_duration,
                                                  .take = take_measure,
                                                  .such_as = "\"90s\" or \"PT1M30S\""};

/* ---- texts ---- */

static struct sk_span text_of(const json_t *value) {
    return sk_span(json_string_value(value), json_string_length(value));
}

static bool measure_text(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key;
    *n = (int64_t)json_string_length(value);
    return json_is_string(value);
}

static bool measure_texts(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    size_t i;
    json_t *item;
    (void)key;
    *n = (int64_t)json_array_size(value);
    if (!json_is_array(value)) return false;
    json_array_foreach(value, i, item) if (!json_is_string(item)) return false;
    return true;
}

static bool check_text(struct sk_config *config, const struct sk_config_key *key, const char *path,
                       struct sk_span text) {
    char why[SK_CONFIG_WHY_MAX] = "";
    if (text.n == 0 || memchr(text.p, 0, text.n)) {
        sk_config_refuse(config, path, "must not be empty; remove it instead.");
        return false;
    }
    bool fine = key->fine == NULL || key->fine(text, why);
    if (!fine) sk_config_refuse(config, path, "%s.", why);
    return fine;
}

/* Into a field that is a pointer, or a span. */
static void store_text(struct sk_config *config, const struct sk_config_key *key,
                       struct sk_span text, void *to) {
    text = sk_arena_copy(config->arena, text);
    if (to) memcpy(to, &text, key->size == sizeof text ? sizeof text : sizeof text.p);
}

bool sk_config_take_text(struct sk_config *config, const struct sk_config_key *key,
                         const char *path, struct sk_span text, void *to) {
    if (!check_text(config, key, path, text)) return false;
    store_text(config, key, text, to);
    return true;
}

static void take_text(struct sk_config *config, const struct sk_config_key *key, const char *path,
                      const json_t *value, void *to) {
    sk_config_take_text(config, key, path, text_of(value), to);
}

static void take_path(struct sk_config *config, const struct sk_config_key *key, const char *path,
                      const json_t *value, void *to) {
    struct sk_span text = text_of(value);
    if (!check_text(config, key, path, text)) return;
    if (text.p[0] != '/' && config->folder && *config->folder)
        text = sk_arena_print(config->arena, "%s/%.*s", config->folder, SK_ARG(text));
    store_text(config, key, text, to);
}

/* Room for `n` items, which the row's pointer and count tell of. */
static char *make_list(struct sk_config *config, const struct sk_config_key *key, void *to,
                       size_t n) {
    char *items = sk_arena_alloc(config->arena, n * key->size + 1);
    memcpy(to, &items, sizeof items);
    memcpy((char *)to - key->at + key->count_at, &n, sizeof n);
    return items;
}

static void take_texts(struct sk_config *config, const struct sk_config_key *key, const char *path,
                       const json_t *value, void *to) {
    char *items = make_list(config, key, to, json_array_size(value));
    for (size_t i = 0; i < json_array_size(value); i++) {
        char item[SK_CONFIG_WHY_MAX];
        snprintf(item, sizeof item, "%.200s[%zu]", path, i);
        take_text(config, key, item, json_array_get(value, i), items + i * key->size);
    }
}

/* A text alone is a list of one. */
static json_t *list_of(const json_t *value) {
    return json_is_string(value) ? json_pack("[O]", value) : json_incref((json_t *)value);
}

static bool measure_names(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    json_t *list = list_of(value);
    bool fine = measure_texts(key, list, n);
    json_decref(list);
    return fine;
}

static void take_names(struct sk_config *config, const struct sk_config_key *key, const char *path,
                       const json_t *value, void *to) {
    json_t *list = list_of(value);
    take_texts(config, key, path, list, to);
    json_decref(list);
}

static bool measure_choice(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    struct sk_span rest = sk_span_z(key->choices), choice;
    for (*n = 0; sk_span_split(&rest, '|', &choice); ++*n)
        if (json_is_string(value) && sk_span_eq(choice, text_of(value))) return true;
    return false;
}

const struct sk_config_type sk_config_text = {.words = "text in quotes",
                                              .link = " of ",
                                              .unit = " characters",
                                              .measure = measure_text,
                                              .take = take_text};
const struct sk_config_type sk_config_texts = {.words = "a list of",
                                               .link = " ",
                                               .unit = " texts",
                                               .tail = " texts",
                                               .measure = measure_texts,
                                               .take = take_texts};
const struct sk_config_type sk_config_names = {.words = "a name or a list of",
                                               .link = " ",
                                               .unit = " names",
                                               .tail = " names",
                                               .measure = measure_names,
                                               .take = take_names};
const struct sk_config_type sk_config_path = {.words = "a file's name in quotes",
                                              .link = " of ",
                                              .unit = " characters",
                                              .measure = measure_text,
                                              .take = take_path};
const struct sk_config_type sk_config_choice = {
    .words = "", .measure = measure_choice, .take = take_measure};

/* ---- addresses ---- */

/* False: it is none. The port is -1 where there is none. */
static bool read_address(struct sk_config *config, const char *path, struct sk_span text,
                         struct sk_endpoint *to, int *port) {
    struct sk_span host;
    if (sk_host_port_parse(text, &host, port)) {
        sk_config_refuse(config, path,
                         "must be \"ADDRESS\" or \"ADDRESS:PORT\", such as \"0.0.0.0:8883\".");
        return false;
    }
    *to = (struct sk_endpoint){.host = sk_arena_copy(config->arena, host).p,
                               .port = *port < 0 ? 0 : (uint16_t)*port};
    return true;
}

static void take_address(struct sk_config *config, const struct sk_config_key *key,
                         const char *path, const json_t *value, void *to) {
    struct sk_endpoint *address = to;
    int port;
    if (!check_text(config, key, path, text_of(value))) return;
    if (read_address(config, path, text_of(value), address, &port) && port < 0)
        sk_config_refuse(config, path, "needs a port, such as %s.", key->such_as);
}

/* Each port takes every protocol, but a client knows one. */
static void take_addresses(struct sk_config *config, const struct sk_config_key *key,
                           const char *path, const json_t *value, void *to) {
    static const uint16_t ports[] = {8883, 5671, 443};
    enum { PORTS = sizeof ports / sizeof *ports };
    size_t n = 0, i;
    json_t *text;
    struct sk_endpoint *items =
        (struct sk_endpoint *)make_list(config, key, to, json_array_size(value) * PORTS);
    json_array_foreach((json_t *)value, i, text) {
        struct sk_endpoint address;
        char item[SK_CONFIG_WHY_MAX];
        int port;
        snprintf(item, sizeof item, "%.200s[%zu]", path, i);
        if (!check_text(config, key, item, text_of(text)) ||
            !read_address(config, item, text_of(text), &address, &port))
            continue;
        for (size_t p = 0; p < (port < 0 ? PORTS : 1); p++) {
            if (port < 0) address.port = ports[p];
            items[n++] = address;
        }
    }
    memcpy((char *)to - key->at + key->count_at, &n, sizeof n);
}

const struct sk_config_type sk_config_address = {
    .words = "\"ADDRESS:PORT\"", .measure = measure_text, .take = take_address};
const struct sk_config_type sk_config_addresses = {.words = "a list of",
                                                   .link = " ",
                                                   .unit = " addresses",
                                                   .tail = " addresses",
                                                   .measure = measure_texts,
                                                   .take = take_addresses};

/* ---- tables ---- */

static bool measure_table(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key;
    *n = 0;
    return json_is_object(value);
}

static bool measure_tables(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    size_t i;
    json_t *item;
    (void)key;
    *n = (int64_t)json_array_size(value);
    if (!json_is_array(value)) return false;
    json_array_foreach(value, i, item) if (!json_is_object(item)) return false;
    return true;
}

static bool measure_map(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    const char *name;
    json_t *member;
    if (!measure_table(key, value, n)) return false;
    json_object_foreach((json_t *)value, name,
                        member) if (json_is_object(member) || json_is_array(member)) return false;
    return true;
}

static void take_map(struct sk_config *config, const struct sk_config_key *key, const char *path,
                     const json_t *value, void *to) {
    const char *name;
    json_t *member, *texts = json_object();
    (void)config, (void)key, (void)path;
    json_object_foreach((json_t *)value, name, member) {
        char number[SK_REAL_TEXT] = "";
        if (json_is_boolean(member))
            snprintf(number, sizeof number, "%s", json_is_true(member) ? "true" : "false");
        else if (json_is_integer(member))
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(member));
        else if (json_is_real(member))
            sk_real_text(json_real_value(member), number);
        if (json_is_string(member))
            json_object_set(texts, name, member);
        else
            json_object_set_new(texts, name, json_string(number));
    }
    *(json_t **)to = texts;
}

static bool measure_any(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key, (void)value;
    *n = 0;
    return true;
}

const struct sk_config_type sk_config_table = {.words = "a table", .measure = measure_table};
const struct sk_config_type sk_config_tables = {.words = "a list of",
                                                .link = " ",
                                                .unit = " tables",
                                                .tail = " tables",
                                                .measure = measure_tables};
const struct sk_config_type sk_config_map = {
    .words = "a table of texts and numbers", .measure = measure_map, .take = take_map};
const struct sk_config_type sk_config_any = {.words = "any value", .measure = measure_any};
