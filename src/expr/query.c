#include "expr/query.h"

#include "expr/lexer.h"
#include "expr/program.h"

/* ---- parsing ---- */

struct parser {
    struct lexer *lexer;
    struct sk_query *query;
    struct expr_collection collection;
    size_t items_from, items_to; /* where the list stands: it is read when its FROM is known */
    enum sk_status status;       /* why it failed, where the lexer does not know */
};

static enum sk_status fail(struct parser *p, enum sk_status status) {
    if (status == SK_TOO_LARGE) p->status = status;
    return SK_MALFORMED;
}

static enum sk_status compile(struct parser *p, struct lexer *lexer, struct sk_expr **expr) {
    enum sk_status status = expr_compile(lexer, SK_DIALECT_TWIN_QUERY, &p->collection, expr);
    return status ? fail(p, status) : SK_OK;
}

static enum sk_status parse_top(struct lexer *lexer, uint32_t *top) {
    if (!lexer_is_whole(lexer, top) || *top == 0)
        return lexer_expected(lexer, "a whole number from 1 on behind TOP");
    lexer_next(lexer);
    return SK_OK;
}

/* Goes over the list up to FROM; a name behind a dot is none. */
static enum sk_status skip_items(struct parser *p) {
    struct lexer *lexer = p->lexer;
    bool named = false;
    p->items_from = lexer->token.at;
    if (lexer_is_word(lexer, "FROM"))
        return lexer_expected(lexer, "\"*\" or a list of what to select");
    while (named || !lexer_is_word(lexer, "FROM")) {
        if (lexer->token.kind == TOKEN_END || lexer->token.kind == TOKEN_BAD)
            return lexer_expected(lexer, "FROM");
        named = lexer_is_sign(lexer, ".");
        lexer_next(lexer);
    }
    p->items_to = lexer->token.at;
    lexer_next(lexer);
    return SK_OK;
}

/* "devices [AS] d" */
static enum sk_status parse_alias(struct lexer *lexer, struct sk_span *alias) {
    bool as = lexer_take_word(lexer, "AS");
    bool name = lexer->token.kind == TOKEN_NAME && !lexer_is_word(lexer, "WHERE") &&
                !lexer_is_word(lexer, "GROUP") && !lexer_is_word(lexer, "ORDER");
    if (!name) return as ? lexer_expected(lexer, "a name behind AS") : SK_OK;
    *alias = lexer->token.text;
    lexer_next(lexer);
    return SK_OK;
}

static enum sk_status parse_from(struct parser *p) {
    static const char expected[] = "devices, devices.modules or devices.jobs";
    struct lexer *lexer = p->lexer;
    if (!lexer_take_word(lexer, "devices")) return lexer_expected(lexer, expected);
    p->query->from = SK_FROM_DEVICES;
    if (lexer_take_sign(lexer, ".")) {
        p->collection.part = lexer->token.text;
        if (lexer_take_word(lexer, "modules"))
            p->query->from = SK_FROM_MODULES;
        else if (lexer_take_word(lexer, "jobs"))
            p->query->from = SK_FROM_JOBS;
        else
            return lexer_expected(lexer, expected);
    }
    return parse_alias(lexer, &p->collection.alias);
}

static enum sk_status parse_groups(struct parser *p) {
    struct lexer *lexer = p->lexer;
    struct sk_query *query = p->query;
    if (!lexer_take_word(lexer, "GROUP")) return SK_OK;
    if (!lexer_take_word(lexer, "BY")) return lexer_expected(lexer, "BY");
    query->groups = sk_alloc(SK_QUERY_ITEMS_MAX * sizeof *query->groups);
    do {
        size_t at = lexer->token.at;
        if (query->group_count == SK_QUERY_ITEMS_MAX)
            return lexer_fail_at(lexer, at, "at most %d values are grouped by", SK_QUERY_ITEMS_MAX);
        if (compile(p, lexer, &query->groups[query->group_count])) return SK_MALFORMED;
        query->group_count++;
    } while (lexer_take_sign(lexer, ","));
    query->grouped = true;
    return SK_OK;
}

/* ---- items ---- */

static const struct {
    const char *word, *name; /* name: of the member, when no other is given */
    enum sk_aggregate aggregate;
} aggregates[] = {{"COUNT", "count", SK_AGGREGATE_COUNT},
                  {"SUM", "sum", SK_AGGREGATE_SUM},
                  {"AVG", "avg", SK_AGGREGATE_AVG},
                  {"MIN", "min", SK_AGGREGATE_MIN},
                  {"MAX", "max", SK_AGGREGATE_MAX}};

/* Takes "COUNT (" and the like. */
static bool take_aggregate(struct lexer *lexer, struct sk_query_item *item) {
    for (size_t i = 0; i < sizeof aggregates / sizeof *aggregates; i++) {
        struct lexer ahead = *lexer;
        if (!lexer_take_word(&ahead, aggregates[i].word) || !lexer_take_sign(&ahead, "(")) continue;
        *lexer = ahead;
        item->aggregate = aggregates[i].aggregate;
        item->name = sk_span_z(aggregates[i].name);
        return true;
    }
    return false;
}

static enum sk_status parse_aggregate(struct parser *p, struct lexer *lexer,
                                      struct sk_query_item *item) {
    bool all = item->aggregate == SK_AGGREGATE_COUNT;
    if (all && lexer_take_sign(lexer, "*")) {
        if (!lexer_is_sign(lexer, ")")) return lexer_expected(lexer, "\")\"");
    } else if (!(all && lexer_is_sign(lexer, ")")) && compile(p, lexer, &item->value)) {
        return SK_MALFORMED;
    }
    return lexer_take_sign(lexer, ")") ? SK_OK : lexer_expected(lexer, "\")\"");
}

static enum sk_status parse_item(struct parser *p, struct lexer *lexer,
                                 struct sk_query_item *item) {
    size_t at = lexer->token.at;
    bool aggregate = take_aggregate(lexer, item);
    if (aggregate ? parse_aggregate(p, lexer, item) : compile(p, lexer, &item->value))
        return SK_MALFORMED;
    if (lexer_take_word(lexer, "AS")) {
        if (lexer->token.kind != TOKEN_NAME || lexer->token.at == p->items_to)
            return lexer_expected(lexer, "a name behind AS");
        item->name = lexer->token.text;
        lexer_next(lexer);
    } else if (!aggregate && !expr_path_name(item->value, &item->name)) {
        return lexer_fail_at(lexer, at, "what is computed needs a name: put AS name behind it");
    }
    return SK_OK;
}

/* Beside aggregates stands only what the groups have in common. */
static bool is_grouped_by(const struct sk_query *query, const struct sk_expr *value) {
    for (size_t i = 0; i < query->group_count; i++)
        if (expr_same(query->groups[i], value)) return true;
    return false;
}

static enum sk_status parse_items(struct parser *p) {
    struct sk_query *query = p->query;
    struct lexer lexer;
    size_t places[SK_QUERY_ITEMS_MAX];
    lexer_init(&lexer, p->lexer->text, p->items_from, p->lexer->error);
    query->star = lexer_take_sign(&lexer, "*");
    query->items = sk_alloc(SK_QUERY_ITEMS_MAX * sizeof *query->items);
    while (!query->star) {
        size_t count = query->item_count;
        if (count == SK_QUERY_ITEMS_MAX)
            return lexer_fail_at(&lexer, lexer.token.at, "at most %d values are selected",
                                 SK_QUERY_ITEMS_MAX);
        places[count] = lexer.token.at;
        query->item_count++;
        if (parse_item(p, &lexer, &query->items[count])) return SK_MALFORMED;
        query->grouped |= query->items[count].aggregate != SK_AGGREGATE_NONE;
        if (!lexer_take_sign(&lexer, ",")) break;
    }
    if (lexer.token.at != p->items_to)
        return lexer_expected(&lexer, query->star ? "FROM" : "\",\", AS or FROM");
    if (query->star && query->grouped)
        return lexer_fail_at(&lexer, p->items_from,
                             "with GROUP BY say what to select of each group instead of *");
    for (size_t i = 0; i < query->item_count && query->grouped; i++)
        if (query->items[i].aggregate == SK_AGGREGATE_NONE &&
            !is_grouped_by(query, query->items[i].value))
            return lexer_fail_at(&lexer, places[i],
                                 "beside aggregates, what is selected must stand in GROUP BY too");
    return SK_OK;
}

static enum sk_status parse(struct parser *p) {
    struct lexer *lexer = p->lexer;
    struct sk_query *query = p->query;
    query->explain = lexer_take_word(lexer, "EXPLAIN");
    if (!lexer_take_word(lexer, "SELECT")) return lexer_expected(lexer, "SELECT");
    if (lexer_take_word(lexer, "TOP") && parse_top(lexer, &query->top)) return SK_MALFORMED;
    if (skip_items(p) || parse_from(p)) return SK_MALFORMED;
    if (lexer_take_word(lexer, "WHERE") && compile(p, lexer, &query->where)) return SK_MALFORMED;
    if (parse_groups(p)) return SK_MALFORMED;
    if (lexer->token.kind != TOKEN_END)
        return lexer_expected(lexer, query->group_count ? "\",\" or the end"
                                     : query->where     ? "an operator, GROUP BY or the end"
                                                        : "WHERE, GROUP BY or the end");
    return parse_items(p);
}

enum sk_status sk_query_parse(struct sk_span text, struct sk_query *query,
                              struct sk_expr_error *error) {
    struct sk_expr_error unused;
    if (error == NULL) error = &unused;
    *query = (struct sk_query){0};
    if (expr_check_length(text, error)) return SK_TOO_LARGE;
    struct lexer lexer;
    struct parser parser = {.lexer = &lexer, .query = query, .status = SK_MALFORMED};
    lexer_init(&lexer, text, 0, error);
    if (parse(&parser) == SK_OK) return SK_OK;
    sk_query_free(query);
    *query = (struct sk_query){0};
    return parser.status;
}

void sk_query_free(struct sk_query *query) {
    for (size_t i = 0; i < query->item_count; i++) sk_expr_free(query->items[i].value);
    for (size_t i = 0; i < query->group_count; i++) sk_expr_free(query->groups[i]);
    free(query->items);
    free(query->groups);
    sk_expr_free(query->where);
}

/* ---- rows ---- */

bool sk_query_selects(const struct sk_query *query, const struct sk_expr_source *document,
                      struct sk_arena *arena) {
    if (query->where == NULL) return true;
    sk_arena_reset(arena);
    return sk_expr_true(query->where, document, arena);
}

json_t *sk_query_row(const struct sk_query *query, const json_t *document, struct sk_arena *arena) {
    if (query->star) return json_incref((json_t *)document);
    const struct sk_expr_source source = {.document = document};
    json_t *row = json_object();
    for (size_t i = 0; i < query->item_count; i++) {
        const struct sk_query_item *item = &query->items[i];
        json_t *value = expr_value(item->value, &source, arena);
        if (value) json_object_setn_new(row, item->name.p, item->name.n, value);
    }
    return row;
}
