/* Output: tables for people, JSON, JSON lines and tab-separated values for programs. */
#include <stdio.h>

#include "cli/cli.h"
#include "model/json_text.h"

enum { COLUMNS_MAX = 16, WIDTH_MAX = 60 };

/* The value at a dotted path. */
static const json_t *at(const json_t *value, const char *path) {
    struct sk_span rest = sk_span_z(path), part;
    while (value && sk_span_split(&rest, '.', &part)) {
        SK_CLEANUP_FREE char *key = sk_span_dup(part);
        value = json_object_get(value, key);
    }
    return value;
}

static char *text_of(const json_t *value) {
    if (value == NULL || json_is_null(value)) return sk_span_dup(SK_SPAN(""));
    if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value))
        return sk_span_dup(
            sk_span_z(json_string_value(value))); /* one with a NUL needs its escapes */
    return sk_json_text(value);
}

/* Characters, not bytes. */
static int width(const char *text) {
    int n = 0;
    for (; *text; text++) n += (*text & 0xC0) != 0x80;
    return n;
}

static void print_rows(const json_t *rows, const char *const *columns, bool table) {
    int widths[COLUMNS_MAX] = {0};
    size_t n = 0, i;
    const json_t *row;
    while (columns[n] && n < COLUMNS_MAX) n++;
    for (size_t c = 0; c < n; c++) {
        widths[c] = width(columns[c]);
        json_array_foreach((json_t *)rows, i, row) {
            SK_CLEANUP_FREE char *text = text_of(at(row, columns[c]));
            if (width(text) > widths[c])
                widths[c] = width(text) > WIDTH_MAX ? WIDTH_MAX : width(text);
        }
    }
    for (size_t c = 0; table && c < n; c++)
        printf("%s%-*s", c ? "  " : "", c + 1 == n ? 0 : widths[c], columns[c]);
    if (table) putchar('\n');
    json_array_foreach((json_t *)rows, i, row) {
        for (size_t c = 0; c < n; c++) {
            SK_CLEANUP_FREE char *text = text_of(at(row, columns[c]));
            int padding = c + 1 == n ? 0 : widths[c] - width(text);
            if (table)
                printf("%s%s%*s", c ? "  " : "", text, padding > 0 ? padding : 0, "");
            else
                printf("%s%s", c ? "\t" : "", text);
        }
        putchar('\n');
    }
}

/* A single object as a list of members, one a line. */
static void print_members(const json_t *object, const char *prefix) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        char path[200];
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value) && json_object_size(value)) {
            print_members(value, path);
            continue;
        }
        SK_CLEANUP_FREE char *text = text_of(value);
        printf("%-47s %s\n", path, text);
    }
}

void cli_print(const struct cli *cli, const json_t *value, const char *const *columns) {
    size_t i;
    json_t *row;
    if (value == NULL) return;
    if (cli->output == CLI_JSONL && json_is_array(value)) {
        json_array_foreach((json_t *)value, i, row) {
            sk_json_print(stdout, row, 0);
            putchar('\n');
        }
    } else if (cli->output == CLI_JSON || cli->output == CLI_JSONL) {
        sk_json_print(stdout, value, cli->output == CLI_JSON ? 2 : 0);
        putchar('\n');
    } else if (json_is_array(value) && columns) {
        print_rows(value, columns, cli->output == CLI_TABLE);
    } else if (json_is_object(value) && columns && cli->output == CLI_TSV) {
        json_t *rows = json_pack("[O]", value);
        print_rows(rows, columns, false);
        json_decref(rows);
    } else if (json_is_object(value)) {
        print_members(value, "");
    } else {
        SK_CLEANUP_FREE char *text = text_of(value);
        printf("%s\n", text);
    }
    fflush(stdout);
}
