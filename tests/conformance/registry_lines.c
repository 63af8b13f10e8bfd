/* Lines of imports: an identity, its twin and a note of both, all of it or nothing. */
#include "conformance/registry_answers.h"

AROUND(start, end);

/* What a line did, as text: "made d1 v3", "gone 2", "kept", with what was said of its twin. */
static void keep_line(void *arg, const struct sk_registry_end *ended,
                      const struct sk_registry_lined *lined) {
    struct answer *answer = arg;
    char *to = answer->text;
    size_t size = sizeof answer->text;
    assert_true(ended->status == SK_OK || (!lined->put && !lined->twin && !lined->gone.count));
    if (lined->put)
        snprintf(to, size, "%s %s", lined->made ? "made" : "put", lined->put->identity.device_id);
    if (lined->gone.count) snprintf(to, size, "gone %zu", lined->gone.count);
    if (lined->twin)
        snprintf(to + strlen(to), size - strlen(to), " twin %llu",
                 (unsigned long long)lined->twin->twin.version);
    if (lined->twin_end)
        snprintf(to + strlen(to), size - strlen(to), " but %s",
                 sk_status_text(lined->twin_end->status));
    keep(arg, ended);
}

static void put_failure(struct sk_buffer *to, struct sk_span of, const struct sk_registry_end *end,
                        bool twin) {
    sk_buffer_print(to, "%.*s %s%s", SK_ARG(of), twin ? "twin " : "", sk_status_text(end->status));
}

/* Asks for a line with a note; what it did is in answer->text. */
static void ask_line(struct answer *answer, enum sk_registry_work work, const char *id,
                     const char *etag, const json_t *tags, const char *number) {
    struct sk_identity identity = device(id);
    struct sk_registry_line line = {.work = work,
                                    .device_id = sk_span_z(id),
                                    .identity = &identity,
                                    .if_match = sk_span_z(etag),
                                    .twin = {.tags = tags},
                                    .note = {.kind = SK_SPAN("at"),
                                             .key = SK_SPAN("job"),
                                             .bytes = sk_span_z(number),
                                             .failure_kind = SK_SPAN("failures"),
                                             .failure_key = sk_span_z(number),
                                             .of_failure = SK_SPAN("it is"),
                                             .put_failure = put_failure}};
    if (work >= SK_WORK_REMOVE) line.identity = NULL;
    ASK(answer, sk_registry_line(w.registry, &line, keep_line, answer));
}

static void keep_text(void *arg, const struct sk_registry_end *ended,
                      const struct sk_registry_document *document) {
    struct answer *answer = arg;
    if (document) snprintf(answer->text, sizeof answer->text, "%.*s", SK_ARG(document->bytes));
    keep(arg, ended);
}

static const char *document(struct answer *answer, const char *kind, const char *key) {
    ASK(answer,
        sk_registry_document_get(w.registry, sk_span_z(kind), sk_span_z(key), keep_text, answer));
    return answer->text;
}

TEST(a_line_makes_changes_and_removes_an_identity_with_its_twin) {
    struct answer answer = {0};
    json_t *tags = json_pack("{s:i}", "n", 1);
    ask_line(&answer, SK_WORK_CREATE, "d1", "*", tags, "1");
    assert_string_equal(answer.text, "made d1 twin 3");
    ask_line(&answer, SK_WORK_PUT, "d1", "*", NULL, "2");
    assert_string_equal(answer.text, "put d1");
    ask_line(&answer, SK_WORK_PUT, "d2", "\"no such etag\"", NULL, "3");
    assert_string_equal(answer.text, "made d2");
    ask_line(&answer, SK_WORK_UPDATE, "d2", "*", tags, "4");
    assert_string_equal(answer.text, "put d2 twin 3");
    ask_line(&answer, SK_WORK_TWIN, "d2", "*", tags, "5");
    assert_string_equal(answer.text, " twin 4");
    ask_line(&answer, SK_WORK_REMOVE, "d1", "*", NULL, "6");
    assert_string_equal(answer.text, "gone 1");
    assert_string_equal(document(&answer, "at", "job"), "6");
    assert_string_equal(document(&answer, "failures", "6"), "");
    assert_int_equal(sk_registry_counts(w.registry).devices, 1);
    json_decref(tags);
}

TEST(what_a_line_could_not_do_is_noted_with_how_far_the_import_is) {
    struct answer answer = {0};
    json_t *large = json_object(), *tags = json_pack("{s:i}", "n", 1);
    for (int i = 0; i < 4; i++) {
        char name[2] = {(char)('a' + i)}, text[4001];
        memset(text, 'x', 4000);
        text[4000] = 0;
        json_object_set_new(large, name, json_string(text));
    }
    ask_line(&answer, SK_WORK_CREATE, "d1", "*", NULL, "1");
    static const struct {
        enum sk_registry_work work;
        const char *id, *etag;
        enum sk_status status;
    } lines[] = {
        {SK_WORK_CREATE, "d1", "*", SK_EXISTS},     {SK_WORK_UPDATE, "d9", "*", SK_NOT_FOUND},
        {SK_WORK_PUT, "d1", "\"no\"", SK_CONFLICT}, {SK_WORK_REMOVE, "d1", "\"no\"", SK_CONFLICT},
        {SK_WORK_REMOVE, "d9", "*", SK_NOT_FOUND},  {SK_WORK_TWIN, "d9", "*", SK_NOT_FOUND}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char number[8], expected[64];
        snprintf(number, sizeof number, "%zu", 10 + i);
        snprintf(expected, sizeof expected, "it is %s", sk_status_text(lines[i].status));
        ask_line(&answer, lines[i].work, lines[i].id, lines[i].etag, tags, number);
        assert_int_equal(answer.end.status, lines[i].status);
        assert_string_equal(answer.text, "");
        assert_string_equal(document(&answer, "failures", number), expected);
        assert_string_equal(document(&answer, "at", "job"), number);
    }
    ask_line(&answer, SK_WORK_CREATE, "d2", "*", large, "30");
    assert_int_equal(answer.end.status, SK_OK);
    assert_string_equal(answer.text, "made d2 but too-large");
    assert_string_equal(document(&answer, "failures", "30"), "it is twin too-large");
    assert_string_equal(document(&answer, "at", "job"), "30");
    json_decref(large);
    json_decref(tags);
}
