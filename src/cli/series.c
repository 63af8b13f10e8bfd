/* Time series: what devices said, by time. */
#include <stdio.h>

#include "cli/cli.h"
#include "wire/http.h"

enum { PROPERTIES_MAX = 50 }; /* of a query */

static const char *const list_columns[] = {"series", "events", "firstTime", "lastTime", NULL};

/* "sensor1", or a list of texts as JSON; NULL with a message. */
static json_t *id_of(struct cli *cli) {
    const char *word = cli->typed.words[0];
    return word[0] == '[' ? cli_json(cli, "SERIES", word) : json_pack("[s]", word);
}

/* Of a one-part id its text, else the list. */
static json_t *shown_id(const json_t *id) {
    const json_t *only = json_array_size(id) == 1 ? json_array_get(id, 0) : NULL;
    return json_is_string(only) ? json_incref((json_t *)only) : json_incref((json_t *)id);
}

int cli_series_list(void *arg) {
    struct cli *cli = arg;
    struct cli_answer answer = {0};
    json_t *all = json_array(), *one;
    int code;
    do {
        const char *next = answer.continuation;
        size_t i;
        code = cli_call(cli, SK_HTTP_GET, "/timeseries/instances", NULL, NULL, next, &answer);
        if (code) break;
        json_array_foreach(json_object_get(answer.body, "instances"), i, one) {
            json_t *range = json_object_get(one, "range");
            json_array_append_new(all, json_pack("{s:o,s:O,s:O,s:O}", "series",
                                                 shown_id(json_object_get(one, "timeSeriesId")),
                                                 "events", json_object_get(one, "events"),
                                                 "firstTime", json_object_get(range, "from"),
                                                 "lastTime", json_object_get(range, "to")));
        }
        json_decref(answer.body);
    } while (answer.continuation);
    if (!code) cli_print(cli, all, list_columns);
    json_decref(all);
    return code;
}

int cli_series_remove(void *arg) {
    struct cli *cli = arg;
    json_t *id = id_of(cli);
    if (id == NULL) return SK_EXIT_REFUSED;
    json_t *body = json_pack("{s:o}", "timeSeriesId", id);
    int code = cli_show(cli, SK_HTTP_POST, "/timeseries/events/$delete", body, NULL, NULL);
    json_decref(body);
    return code;
}

/* ---- show ---- */

/* A time as REST has it, of an option; NULL with a message. */
static json_t *time_of(struct cli *cli, const char *option, const char *otherwise) {
    const char *said = sk_typed_option(&cli->typed, option);
    char text[SK_TIME_TEXT];
    int64_t us;
    if (sk_time_parse_near(sk_span_z(said ? said : otherwise), sk_io_wall(cli->io), &us)) {
        cli_fail("--%s is a time, or such as NOW-PT1H", option);
        return NULL;
    }
    sk_time_text(us, text);
    return json_string(text);
}

/* A flattened name as expressions write it: s.['v.w'] is $event['s']['v.w']. */
static void put_property(struct sk_buffer *to, const char *name, const char *type) {
    sk_buffer_text(to, "$event");
    while (*name) {
        bool quoted = strncmp(name, "['", 2) == 0;
        const char *end = quoted ? strstr(name, "']") : strchr(name, '.');
        if (quoted) end = end ? end + 2 : end;
        size_t n = end ? (size_t)(end - name) : strlen(name);
        sk_buffer_print(to, quoted ? "%.*s" : "['%.*s']", (int)n, name);
        name += n;
        if (*name == '.') name++;
    }
    sk_buffer_print(to, ".%s", type);
}

/* A variable over a number, however it was sent. */
static json_t *variable_of(const char *name, const char *aggregate) {
    struct sk_buffer value = {0}, aggregation = {0};
    sk_buffer_text(&value, "coalesce(");
    put_property(&value, name, "Double");
    sk_buffer_text(&value, ", toDouble(");
    put_property(&value, name, "Long");
    sk_buffer_append(&value, sk_span("))", 3));
    sk_buffer_print(&aggregation, "%s($value)", aggregate);
    sk_buffer_byte(&aggregation, 0);
    json_t *variable = json_pack("{s:s,s:{s:s},s:{s:s}}", "kind", "numeric", "value", "tsx",
                                 value.p, "aggregation", "tsx", aggregation.p);
    sk_buffer_free(&value);
    sk_buffer_free(&aggregation);
    return variable;
}

/* What is asked of the properties that were named: a variable each, or, as they are, each with all
 * types that it may have. */
static void add_properties(struct cli *cli, json_t *ask, bool computed) {
    static const char *const types[] = {"Double", "Long", "Bool", "String", "DateTime", "Dynamic"};
    const char *names[PROPERTIES_MAX], *aggregate = sk_typed_option(&cli->typed, "aggregate");
    size_t n = sk_typed_all(&cli->typed, "property", names, PROPERTIES_MAX);
    if (n > PROPERTIES_MAX) n = PROPERTIES_MAX;
    json_t *variables = json_object(), *projected = json_array();
    for (size_t i = 0; i < n; i++) {
        if (computed) {
            json_object_set_new(variables, names[i],
                                variable_of(names[i], aggregate ? aggregate : "avg"));
            json_array_append_new(projected, json_string(names[i]));
        }
        for (size_t t = 0; !computed && t < sizeof types / sizeof *types; t++)
            json_array_append_new(projected,
                                  json_pack("{s:s,s:s}", "name", names[i], "type", types[t]));
    }
    if (computed) json_object_set(ask, "inlineVariables", variables);
    if (n) json_object_set(ask, computed ? "projectedVariables" : "projectedProperties", projected);
    json_decref(variables);
    json_decref(projected);
}

/* NULL with a message. */
static json_t *query_of(struct cli *cli) {
    const char *interval = sk_typed_option(&cli->typed, "interval"),
               *filter = sk_typed_option(&cli->typed, "filter");
    if (interval && sk_typed_option(&cli->typed, "property") == NULL) {
        cli_fail("--interval needs a --property to compute");
        return NULL;
    }
    if (!interval && sk_typed_option(&cli->typed, "aggregate")) {
        cli_fail("--aggregate needs an --interval, such as PT1M");
        return NULL;
    }
    json_t *id = id_of(cli), *from = time_of(cli, "from", "NOW-PT1H"),
           *to = time_of(cli, "to", "NOW");
    if (id == NULL || from == NULL || to == NULL) {
        json_decref(id);
        json_decref(from);
        json_decref(to);
        return NULL;
    }
    json_t *ask =
        json_pack("{s:o,s:{s:o,s:o}}", "timeSeriesId", id, "searchSpan", "from", from, "to", to);
    if (filter) json_object_set_new(ask, "filter", json_pack("{s:s}", "tsx", filter));
    if (interval)
        json_object_set_new(ask, "interval", json_string(interval));
    else
        json_object_set_new(ask, "take", json_integer(250000));
    add_properties(cli, ask, interval != NULL);
    return json_pack("{s:o}", interval ? "aggregateSeries" : "getEvents", ask);
}

/* A page's columns as rows; names of columns that are new are added. */
static void add_rows(const json_t *page, json_t *rows, json_t *names) {
    json_t *times = json_object_get(page, "timestamps"), *time, *column;
    json_t *columns = json_object_get(page, "properties");
    size_t i, c;
    json_array_foreach(columns, c, column) {
        json_object_set_new(names, json_string_value(json_object_get(column, "name")), json_true());
    }
    json_array_foreach(times, i, time) {
        json_t *row = json_pack("{s:O}", "timestamp", time);
        json_array_foreach(columns, c, column) {
            json_t *value = json_array_get(json_object_get(column, "values"), i);
            const char *name = json_string_value(json_object_get(column, "name"));
            if (!json_is_null(value)) json_object_set(row, name, value);
        }
        json_array_append_new(rows, row);
    }
}

static void print_rows(const struct cli *cli, const json_t *rows, json_t *names) {
    const char *columns[CLI_COLUMNS_MAX] = {"timestamp"}, *name;
    json_t *there;
    size_t count = 1;
    json_object_foreach(names, name, there) {
        if (count + 1 < CLI_COLUMNS_MAX) columns[count++] = name;
    }
    cli_print(cli, rows, columns);
}

int cli_series_show(void *arg) {
    struct cli *cli = arg;
    json_t *query = query_of(cli);
    struct cli_answer answer = {0};
    int code;
    if (query == NULL) return SK_EXIT_REFUSED;
    json_t *rows = json_array(), *names = json_object();
    do {
        code = cli_call(cli, SK_HTTP_POST, "/timeseries/query", query, NULL, answer.continuation,
                        &answer);
        if (code) break;
        add_rows(answer.body, rows, names);
        json_decref(answer.body);
    } while (answer.continuation);
    if (!code) print_rows(cli, rows, names);
    if (!code && json_array_size(rows) == 0)
        fprintf(stderr, "%s has nothing of that in this time\n", cli->typed.words[0]);
    json_decref(query);
    json_decref(rows);
    json_decref(names);
    return code;
}
