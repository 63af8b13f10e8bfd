/* What tags and desired properties of a twin have been: a line a version, and what differs between
 * two. */
#include <stdio.h>

#include "cli/cli.h"
#include "model/json_text.h"

/* ---- differences ---- */

struct difference {
    const char *path;        /* in the command's arena */
    const json_t *from, *to; /* NULL: nothing there */
};

struct differences {
    struct cli *cli;
    struct difference *list;
    size_t count, capacity;
};

static void add(struct differences *found, struct sk_span path, const json_t *from,
                const json_t *to) {
    if (found->count == found->capacity) {
        found->capacity = found->capacity ? 2 * found->capacity : 16;
        found->list = sk_realloc(found->list, found->capacity * sizeof *found->list);
    }
    found->list[found->count++] =
        (struct difference){sk_arena_copy(&found->cli->arena, path).p, from, to};
}

/* Goes down where both are objects; NULL is one without members. */
static void compare(struct differences *found, struct sk_span path, const json_t *from,
                    const json_t *to) {
    const char *name;
    json_t *value;
    bool down = (from == NULL || json_is_object(from)) && (to == NULL || json_is_object(to));
    if (!down) {
        if (!json_equal(from, to)) add(found, path, from, to);
        return;
    }
    json_object_foreach((json_t *)from, name, value) {
        if (name[0] == '$') continue;
        compare(found, sk_arena_print(&found->cli->arena, "%.*s.%s", SK_ARG(path), name), value,
                json_object_get(to, name));
    }
    json_object_foreach((json_t *)to, name, value) {
        if (name[0] == '$' || json_object_get(from, name)) continue;
        compare(found, sk_arena_print(&found->cli->arena, "%.*s.%s", SK_ARG(path), name), NULL,
                value);
    }
}

/* `older` may be NULL: before the first change there is nothing. */
static void compare_versions(struct differences *found, const json_t *older, const json_t *newer) {
    compare(found, SK_SPAN("tags"), json_object_get(older, "tags"), json_object_get(newer, "tags"));
    compare(found, SK_SPAN("desired"),
            json_object_get(json_object_get(older, "properties"), "desired"),
            json_object_get(json_object_get(newer, "properties"), "desired"));
}

/* ---- the history ---- */

static int get_history(struct cli *cli, json_t **history) {
    struct cli_answer answer = {0};
    const char *path =
        sk_arena_print(&cli->arena, "%s/history", cli_target(cli, "twins", cli->typed.words[0])).p;
    int code = cli_call(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer);
    *history = answer.body;
    return code;
}

/* "tags.site, desired.interval"; before the oldest that is known there may have been others. */
static json_t *changes_of(struct cli *cli, const json_t *history, size_t i) {
    const json_t *newer = json_array_get(history, i), *older = json_array_get(history, i + 1);
    struct differences found = {.cli = cli};
    struct sk_buffer text = {0};
    if (older == NULL) return json_string("the oldest that is remembered");
    compare_versions(&found, older, newer);
    for (size_t k = 0; k < found.count; k++)
        sk_buffer_print(&text, "%s%s", k ? ", " : "", found.list[k].path);
    json_t *changes = json_stringn(text.p ? text.p : "", text.n);
    sk_buffer_free(&text);
    free(found.list);
    return changes;
}

int cli_twin_history(void *arg) {
    static const char *const columns[] = {"version", "time", "changed", NULL};
    struct cli *cli = arg;
    json_t *history, *version;
    size_t i;
    int code = get_history(cli, &history);
    if (!code) {
        json_array_foreach(history, i, version)
            json_object_set_new(version, "changed", changes_of(cli, history, i));
        cli_print(cli, history, columns);
    }
    json_decref(history);
    return code;
}

/* ---- two versions ---- */

/* The place of the version that counted then: it, or the newest before it. */
static size_t place_of(const json_t *history, int64_t version) {
    size_t i = 0;
    while (i < json_array_size(history) &&
           json_integer_value(json_object_get(json_array_get(history, i), "version")) > version)
        i++;
    return i;
}

static void put_side(char sign, const struct difference *difference, const json_t *value) {
    SK_CLEANUP_FREE char *text = sk_json_text(value);
    if (value) printf("%c %s: %s\n", sign, difference->path, text);
}

static int show_difference(struct cli *cli, const json_t *older, const json_t *newer) {
    struct differences found = {.cli = cli};
    json_t *list = json_array();
    compare_versions(&found, older, newer);
    for (size_t i = 0; i < found.count; i++) {
        const struct difference *one = &found.list[i];
        if (cli->output == CLI_TABLE) {
            put_side('-', one, one->from);
            put_side('+', one, one->to);
        } else {
            json_array_append_new(list, json_pack("{s:s,s:O*,s:O*}", "path", one->path, "from",
                                                  one->from, "to", one->to));
        }
    }
    if (cli->output != CLI_TABLE) cli_print(cli, list, NULL);
    json_decref(list);
    free(found.list);
    return SK_EXIT_FINE;
}

int cli_twin_diff(void *arg) {
    struct cli *cli = arg;
    json_t *history;
    int64_t from = -1, to = INT64_MAX;
    if (!sk_typed_number(&cli->typed, "from", 0, INT64_MAX, &from) ||
        !sk_typed_number(&cli->typed, "to", 0, INT64_MAX, &to))
        return SK_EXIT_REFUSED;
    int code = get_history(cli, &history);
    if (!code) {
        size_t newer = place_of(history, to),
               older = from < 0 ? newer + 1 : place_of(history, from);
        if (newer >= json_array_size(history))
            code = cli_fail("no version of %s up to that one is remembered", cli->typed.words[0]);
        else
            code = show_difference(cli, json_array_get(history, older),
                                   json_array_get(history, newer));
    }
    json_decref(history);
    return code;
}
