#include "azure/amqp_address.h"

enum { PARTS_MAX = 8 };

static bool word(const struct sk_span *parts, size_t n, size_t i, const char *text) {
    return i < n && sk_span_eq_nocase(parts[i], sk_span_z(text));
}

/* The path of "amqps://host:port/path", or the text itself. */
static struct sk_span path_of(struct sk_span text, bool *full) {
    size_t colon = sk_span_find(text, ':');
    *full = sk_span_starts(sk_span_skip(text, colon), SK_SPAN("://"));
    if (*full) {
        text = sk_span_skip(text, colon + 3);
        text = sk_span_skip(text, sk_span_find(text, '/'));
    }
    return text.n && text.p[0] == '/' ? sk_span_skip(text, 1) : text;
}

/* devices/{d}[/modules/{m}]/… */
static void parse_device(const struct sk_span *parts, size_t n, struct sk_arena *arena,
                         struct sk_address *address) {
    if (n < 3 || parts[1].n == 0) return;
    address->device = sk_percent_decoded(arena, parts[1]);
    size_t i = 2;
    if (word(parts, n, 2, "modules") && n > 3 && parts[3].n) {
        address->module = sk_percent_decoded(arena, parts[3]);
        i = 4;
    }
    if (n == i + 2 && word(parts, n, i, "messages") && word(parts, n, i + 1, "events"))
        address->kind = SK_ADDRESS_EVENTS;
    else if (n == i + 2 && word(parts, n, i, "messages") && word(parts, n, i + 1, "deviceBound"))
        address->kind = SK_ADDRESS_C2D;
    else if (n == i + 2 && word(parts, n, i, "methods") && word(parts, n, i + 1, "deviceBound"))
        address->kind = SK_ADDRESS_METHODS;
    else if (n == i + 1 && word(parts, n, i, "twin"))
        address->kind = SK_ADDRESS_TWIN;
}

/* What stands before parts[i], as one text. */
static struct sk_span before(const struct sk_span *parts, size_t i) {
    if (i == 0) return SK_NONE;
    return sk_span(parts[0].p, (size_t)(parts[i - 1].p + parts[i - 1].n - parts[0].p));
}

static void parse_entity(const struct sk_span *parts, size_t n, struct sk_arena *arena,
                         struct sk_address *address) {
    if (word(parts, n, n - 1, "$management")) {
        address->kind = SK_ADDRESS_MANAGEMENT;
        address->entity = before(parts, n - 1);
        return;
    }
    size_t tail = n >= 2 && word(parts, n, n - 2, "Partitions") ? 2 : 0;
    if (tail) address->partition = parts[n - 1];
    if (tail && n >= 4 && word(parts, n, n - 4, "ConsumerGroups")) {
        address->kind = SK_ADDRESS_RECEIVER;
        address->group = sk_percent_decoded(arena, parts[n - 3]);
        address->entity = before(parts, n - 4);
        return;
    }
    address->entity = before(parts, n - tail);
    if (address->entity.n) address->kind = SK_ADDRESS_SENDER;
}

void sk_address_parse(struct sk_span text, struct sk_arena *arena, struct sk_address *address) {
    struct sk_span parts[PARTS_MAX], part;
    size_t n = 0;
    *address = (struct sk_address){0};
    struct sk_span rest = path_of(text, &address->full);
    if (rest.n && rest.p[rest.n - 1] == '/') rest.n--;
    while (sk_span_split(&rest, '/', &part)) {
        if (n == PARTS_MAX || part.n == 0) return;
        parts[n++] = part;
    }
    if (n == 0) return;
    if (n == 1 && word(parts, n, 0, "$cbs"))
        address->kind = SK_ADDRESS_CBS;
    else if (word(parts, n, 0, "devices"))
        parse_device(parts, n, arena, address);
    else if (n == 2 && word(parts, n, 0, "messages") && word(parts, n, 1, "devicebound"))
        address->kind = SK_ADDRESS_SERVICE_C2D;
    else if (n == 3 && word(parts, n, 1, "serviceBound") && word(parts, n, 2, "feedback"))
        address->kind = SK_ADDRESS_FEEDBACK;
    else if (n == 3 && word(parts, n, 1, "serviceBound") &&
             (word(parts, n, 2, "filenotifications") ||
              word(parts, n, 2, "fileuploadnotifications")))
        address->kind = SK_ADDRESS_FILES;
    else
        parse_entity(parts, n, arena, address);
}
