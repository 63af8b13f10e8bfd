#include "azure/blob_auth.h"

#include "trust/sas.h"

enum { HEADERS_SIGNED = 11, FIELDS_MAX = 64 };

/* ---- shared access signatures ---- */

#define AT(field) offsetof(struct sk_blob_sas, field)

static const struct {
    const char *name;
    size_t at;
} values[] = {{"sv", AT(sv)},     {"sr", AT(sr)},     {"sp", AT(sp)},
              {"st", AT(st)},     {"se", AT(se)},     {"si", AT(si)},
              {"sip", AT(sip)},   {"spr", AT(spr)},   {"ses", AT(ses)},
              {"rscc", AT(rscc)}, {"rscd", AT(rscd)}, {"rsce", AT(rsce)},
              {"rscl", AT(rscl)}, {"rsct", AT(rsct)}, {"ss", AT(ss)},
              {"srt", AT(srt)},   {"sig", AT(sig)},   {"snapshot", AT(snapshot)}};

static const struct {
    char letter;
    unsigned right;
} letters[] = {{'r', SK_BLOB_READ},  {'a', SK_BLOB_ADD},    {'c', SK_BLOB_CREATE},
               {'w', SK_BLOB_WRITE}, {'d', SK_BLOB_DELETE}, {'l', SK_BLOB_LIST}};

static unsigned rights_of(struct sk_span text) {
    unsigned rights = 0;
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (sk_span_find(text, letters[i].letter) < text.n) rights |= letters[i].right;
    return rights;
}

static enum sk_status read_times(struct sk_blob_sas *sas) {
    sas->from_us = INT64_MIN;
    if (sas->st.n && sk_time_parse(sas->st, &sas->from_us)) return SK_MALFORMED;
    return sk_time_parse(sas->se, &sas->to_us) ? SK_MALFORMED : SK_OK;
}

enum sk_status sk_blob_sas_read(struct sk_span query, struct sk_arena *arena,
                                struct sk_blob_sas *sas) {
    *sas = (struct sk_blob_sas){0};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        *(struct sk_span *)((char *)sas + values[i].at) =
            sk_percent_decoded(arena, sk_http_query(query, values[i].name));
    if (sas->sig.n == 0) return SK_NOT_FOUND;
    if (sas->si.n || sas->sip.n || sas->snapshot.n || sk_http_query(query, "skoid").n)
        return SK_UNSUPPORTED;
    if (sas->sv.n != 10 || sas->sp.n == 0 || (sas->ss.n == 0 && sas->sr.n != 1))
        return SK_MALFORMED;
    sas->rights = rights_of(sas->sp);
    return read_times(sas);
}

static void put_line(struct sk_buffer *to, struct sk_span text) {
    sk_buffer_append(to, text);
    sk_buffer_byte(to, '\n');
}

static bool since(const struct sk_blob_sas *sas, const char *version) {
    return sk_span_compare(sas->sv, sk_span_z(version)) >= 0; /* dates compare as texts */
}

static void put_account_text(struct sk_buffer *to, const struct sk_blob_sas *sas,
                             const struct sk_blob_target *target) {
    const struct sk_span lines[] = {target->account, sas->sp, sas->ss,  sas->srt,
                                    sas->st,         sas->se, sas->sip, sas->spr};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) put_line(to, lines[i]);
    put_line(to, sas->sv);
    if (since(sas, "2020-12-06")) put_line(to, sas->ses);
}

/* The text that was signed: a line each, of which younger versions have more. */
static void put_service_text(struct sk_buffer *to, const struct sk_blob_sas *sas,
                             const struct sk_blob_target *target) {
    put_line(to, sas->sp);
    put_line(to, sas->st);
    put_line(to, sas->se);
    sk_buffer_print(to, "/blob/%.*s/%.*s", SK_ARG(target->account), SK_ARG(target->container));
    if (sk_span_is(sas->sr, "b")) sk_buffer_print(to, "/%.*s", SK_ARG(target->blob));
    sk_buffer_byte(to, '\n');
    put_line(to, sas->si);
    put_line(to, sas->sip);
    put_line(to, sas->spr);
    put_line(to, sas->sv);
    if (since(sas, "2018-11-09")) {
        put_line(to, sas->sr);
        put_line(to, sas->snapshot);
    }
    if (since(sas, "2020-12-06")) put_line(to, sas->ses);
    put_line(to, sas->rscc);
    put_line(to, sas->rscd);
    put_line(to, sas->rsce);
    put_line(to, sas->rscl);
    sk_buffer_append(to, sas->rsct);
}

static enum sk_status sign(const struct sk_blob_sas *sas, const struct sk_blob_target *target,
                           struct sk_span key, struct sk_buffer *signature) {
    struct sk_buffer text = {0};
    unsigned char digest[32];
    if (sas->ss.n)
        put_account_text(&text, sas, target);
    else
        put_service_text(&text, sas, target);
    enum sk_status status = sk_sas_hmac(key, sk_buffer_span(&text), digest);
    if (!status) sk_base64_encode(signature, sk_span(digest, sizeof digest));
    sk_buffer_free(&text);
    return status;
}

/* Of a signature for an account: service, container and object, as far as the target is one. */
static bool account_covers(const struct sk_blob_sas *sas, const struct sk_blob_target *target) {
    char kind = target->blob.n ? 'o' : target->container.n ? 'c' : 's';
    return sk_span_find(sas->ss, 'b') < sas->ss.n && sk_span_find(sas->srt, kind) < sas->srt.n;
}

static bool covers(const struct sk_blob_sas *sas, const struct sk_blob_target *target) {
    if (sas->ss.n) return account_covers(sas, target);
    return (sk_span_is(sas->sr, "b") && target->blob.n) ||
           (sk_span_is(sas->sr, "c") && target->container.n);
}

bool sk_blob_sas_fits(const struct sk_blob_sas *sas, const struct sk_blob_target *target,
                      struct sk_span key) {
    struct sk_buffer signature = {0};
    bool fits = key.n && covers(sas, target) && sign(sas, target, key, &signature) == SK_OK &&
                sk_equal_constant_time(sk_buffer_span(&signature), sas->sig);
    sk_buffer_free(&signature);
    return fits;
}

static void put_value(struct sk_buffer *to, const char *name, struct sk_span value) {
    sk_buffer_print(to, "%s=", name);
    sk_percent_encode(to, value);
}

enum sk_status sk_blob_sas_put(struct sk_buffer *to, const struct sk_blob_target *target,
                               struct sk_span key, unsigned rights, int64_t until_us) {
    struct sk_buffer signature = {0};
    char sp[8], se[SK_TIME_TEXT];
    size_t n = 0;
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (rights & letters[i].right) sp[n++] = letters[i].letter;
    sk_time_text(until_us, se);
    memcpy(se + 19, "Z", 2); /* whole seconds */
    struct sk_blob_sas sas = {.sv = SK_SPAN("2021-08-06"),
                              .sr = target->blob.n ? SK_SPAN("b") : SK_SPAN("c"),
                              .sp = sk_span(sp, n),
                              .se = sk_span_z(se)};
    enum sk_status status = sign(&sas, target, key, &signature);
    if (!status) {
        put_value(to, "?sv", sas.sv);
        put_value(to, "&sr", sas.sr);
        put_value(to, "&se", sas.se);
        put_value(to, "&sp", sas.sp);
        put_value(to, "&sig", sk_buffer_span(&signature));
    }
    sk_buffer_free(&signature);
    return status;
}

/* ---- SharedKey ---- */

bool sk_blob_asked(const struct sk_http_parser *request) {
    return sk_http_header(request, "x-ms-version").n ||
           (sk_http_query(request->query, "sv").n && sk_http_query(request->query, "sig").n);
}

static struct sk_span credential_of(const struct sk_http_parser *request) {
    struct sk_span text = sk_http_header(request, "Authorization");
    return sk_span_starts_nocase(text, SK_SPAN("SharedKey "))
               ? sk_span_trim(sk_span_skip(text, sizeof "SharedKey"))
               : SK_NONE;
}

struct sk_span sk_blob_key_account(const struct sk_http_parser *request) {
    struct sk_span text = credential_of(request);
    return sk_span_first(text, sk_span_find(text, ':'));
}

/* A header or a parameter, to be sorted by name. */
struct field {
    struct sk_span name, value;
};

static int by_name(const void *a, const void *b) {
    const struct field *x = a, *y = b;
    int names = sk_span_compare(x->name, y->name);
    return names ? names : sk_span_compare(x->value, y->value);
}

static struct sk_span lower(struct sk_arena *arena, struct sk_span text) {
    char *to = sk_arena_alloc(arena, text.n + 1);
    for (size_t i = 0; i < text.n; i++) {
        bool upper = text.p[i] >= 'A' && text.p[i] <= 'Z';
        to[i] = upper ? (char)(text.p[i] | 0x20) : text.p[i];
    }
    return sk_span(to, text.n);
}

static void put_headers(struct sk_buffer *to, const struct sk_http_parser *request,
                        struct sk_arena *arena) {
    struct field fields[FIELDS_MAX];
    struct sk_span name, value;
    size_t n = 0;
    for (unsigned i = 0; sk_http_header_at(request, i, &name, &value) && n < FIELDS_MAX; i++)
        if (sk_span_starts_nocase(name, SK_SPAN("x-ms-")))
            fields[n++] = (struct field){lower(arena, name), value};
    qsort(fields, n, sizeof *fields, by_name);
    for (size_t i = 0; i < n; i++)
        sk_buffer_print(to, "%.*s:%.*s\n", SK_ARG(fields[i].name), SK_ARG(fields[i].value));
}

static void put_resource(struct sk_buffer *to, const struct sk_http_parser *request,
                         struct sk_span account, struct sk_arena *arena) {
    struct field fields[FIELDS_MAX];
    struct sk_span rest = request->query, part;
    size_t n = 0;
    sk_buffer_print(to, "/%.*s%.*s", SK_ARG(account), SK_ARG(request->path));
    while (n < FIELDS_MAX && sk_span_split(&rest, '&', &part)) {
        size_t equals = sk_span_find(part, '=');
        if (part.n == 0) continue;
        fields[n++] =
            (struct field){lower(arena, sk_percent_decoded(arena, sk_span_first(part, equals))),
                           sk_percent_decoded(arena, sk_span_skip(part, equals + 1))};
    }
    qsort(fields, n, sizeof *fields, by_name);
    for (size_t i = 0; i < n; i++) {
        bool again = i && sk_span_eq(fields[i].name, fields[i - 1].name);
        if (again)
            sk_buffer_print(to, ",%.*s", SK_ARG(fields[i].value));
        else
            sk_buffer_print(to, "\n%.*s:%.*s", SK_ARG(fields[i].name), SK_ARG(fields[i].value));
    }
}

static void put_key_text(struct sk_buffer *to, const struct sk_http_parser *request,
                         struct sk_span account, struct sk_arena *arena) {
    static const char *const headers[HEADERS_SIGNED] = {"Content-Encoding",
                                                        "Content-Language",
                                                        "Content-Length",
                                                        "Content-MD5",
                                                        "Content-Type",
                                                        "Date",
                                                        "If-Modified-Since",
                                                        "If-Match",
                                                        "If-None-Match",
                                                        "If-Unmodified-Since",
                                                        "Range"};
    bool dated = sk_http_header(request, "x-ms-date").n > 0; /* then Date does not count */
    put_line(to, sk_span_z(sk_http_method_name(request->method)));
    for (size_t i = 0; i < HEADERS_SIGNED; i++) {
        struct sk_span value = sk_http_header(request, headers[i]);
        bool none = (i == 2 && sk_span_is(value, "0")) || (i == 5 && dated);
        put_line(to, none ? SK_NONE : value);
    }
    put_headers(to, request, arena);
    put_resource(to, request, account, arena);
}

bool sk_blob_key_fits(const struct sk_http_parser *request, struct sk_span key) {
    struct sk_span credential = credential_of(request);
    size_t colon = sk_span_find(credential, ':');
    struct sk_buffer text = {0}, signature = {0};
    struct sk_arena arena = {0};
    unsigned char digest[32];
    put_key_text(&text, request, sk_span_first(credential, colon), &arena);
    bool fits = sk_sas_hmac(key, sk_buffer_span(&text), digest) == SK_OK;
    sk_base64_encode(&signature, sk_span(digest, sizeof digest));
    fits = fits &&
           sk_equal_constant_time(sk_buffer_span(&signature), sk_span_skip(credential, colon + 1));
    sk_buffer_free(&text);
    sk_buffer_free(&signature);
    sk_arena_free(&arena);
    return fits;
}
