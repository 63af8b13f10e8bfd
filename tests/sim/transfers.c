/* Import and export of identities over REST, through the hub's own containers. */
#include "support/raw_http.h"
#include "support/test.h"

#include "azure/blob_auth.h"

#define PUT_BLOB "x-ms-version: 2021-08-06\r\nx-ms-blob-type: BlockBlob\r\n"

/* ---- asking ---- */

/* "/files" with a signature by the owner's key; a span of `to`. */
static const char *container(struct fleet *f, struct sk_buffer *to, const char *name,
                             unsigned rights, const char *blob) {
    struct sk_blob_target target = {.account = SK_SPAN("owner"), .container = sk_span_z(name)};
    to->n = 0;
    sk_buffer_print(to, "/%s%s%s", name, blob ? "/" : "", blob ? blob : "");
    assert_int_equal(sk_blob_sas_put(to, &target, SK_SPAN(FLEET_KEY), rights,
                                     sk_io_wall(f->field_io) + 3600 * 1000000ll),
                     SK_OK);
    sk_buffer_byte(to, 0);
    return to->p;
}

enum { ALL = SK_BLOB_READ | SK_BLOB_CREATE | SK_BLOB_WRITE | SK_BLOB_DELETE };

static void put_blob(struct fleet *f, const char *name, struct sk_span content) {
    struct raw_answer answer;
    struct sk_buffer target = {0};
    raw_asks(f,
             &(struct raw_ask){.method = "PUT",
                               .target = container(f, &target, "uploads", ALL, name),
                               .no_token = true,
                               .headers = PUT_BLOB,
                               .body = content},
             &answer);
    assert_int_equal(answer.parser.status, 201);
    sk_http_parser_free(&answer.parser);
    sk_buffer_free(&target);
}

/* Empty: there is none. */
static void get_blob(struct fleet *f, const char *name, struct sk_buffer *content) {
    struct raw_answer answer;
    struct sk_buffer target = {0};
    raw_asks(
        f,
        &(struct raw_ask){.target = container(f, &target, "uploads", ALL, name), .no_token = true},
        &answer);
    content->n = 0;
    if (answer.parser.status == 200)
        sk_buffer_append(content, sk_buffer_span(&answer.parser.body));
    else
        assert_int_equal(answer.parser.status, 404);
    sk_http_parser_free(&answer.parser);
    sk_buffer_free(&target);
}

static size_t lines_of(struct sk_span text) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) n += text.p[i] == '\n';
    return n;
}

/* The job's id, or NULL when it was refused with f->status. Owned by the caller. */
static char *ask_for(struct fleet *f, const char *type) {
    struct sk_buffer body = {0}, uri = {0};
    container(f, &uri, "uploads", ALL, NULL);
    sk_buffer_print(&body,
                    "{\"type\":\"%s\",\"inputBlobContainerUri\":\"https://hub.test%s\","
                    "\"outputBlobContainerUri\":\"https://hub.test%s\"}",
                    type, uri.p, uri.p);
    sk_buffer_byte(&body, 0);
    fleet_call(f, SK_HTTP_POST, "/jobs/create", body.p);
    json_t *job = f->status == 200 ? json_loads(f->answer, 0, NULL) : NULL;
    char *id = sk_text_dup(json_string_value(json_object_get(job, "jobId")));
    json_decref(job);
    sk_buffer_free(&body);
    sk_buffer_free(&uri);
    return id;
}

static const char *status_of(struct fleet *f, const char *id, char to[32]) {
    char path[64];
    snprintf(path, sizeof path, "/jobs/%s", id);
    fleet_call(f, SK_HTTP_GET, path, NULL);
    assert_int_equal(f->status, 200);
    json_t *job = json_loads(f->answer, 0, NULL);
    snprintf(to, 32, "%s", json_string_value(json_object_get(job, "status")));
    json_decref(job);
    return to;
}

static void ends(struct fleet *f, const char *id, const char *status) {
    char is[32] = "running";
    for (int i = 0; i < 600 && strcmp(is, "running") == 0; i++) {
        sk_sim_run(f->sim, 100 * SK_MS);
        status_of(f, id, is);
    }
    if (strcmp(is, status) != 0) fail_msg("%s instead of %s: %s", is, status, f->answer);
}

/* ---- stories ---- */

static void make_lines(struct sk_buffer *text, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        sk_buffer_print(text, "{\"id\":\"many-%u\",\"tags\":{\"n\":%u}}\n", i, i);
}

TEST(a_thousand_devices_are_imported_and_exported_as_they_are) {
    struct fleet f;
    struct sk_buffer text = {0}, exported = {0};
    (void)state;
    fleet_new_hub(&f, 1);
    make_lines(&text, 1000);
    put_blob(&f, "devices.txt", sk_buffer_span(&text));
    char *id = ask_for(&f, "import");
    ends(&f, id, "completed");
    get_blob(&f, "importErrors.log", &exported);
    assert_int_equal(exported.n, 0);
    fleet_shows(&f, "/twins/many-999", "tags/n", "999");
    free(id);
    id = ask_for(&f, "export");
    ends(&f, id, "completed");
    get_blob(&f, "devices.txt", &exported);
    assert_int_equal(lines_of(sk_buffer_span(&exported)), 1000);
    sk_buffer_free(&text);
    sk_buffer_free(&exported);
    free(id);
    fleet_free(&f);
}

TEST(one_job_runs_at_a_time_and_is_cancelled_when_asked) {
    struct fleet f;
    struct sk_buffer text = {0};
    char path[64];
    (void)state;
    fleet_new_hub(&f, 1);
    make_lines(&text, 2000);
    put_blob(&f, "devices.txt", sk_buffer_span(&text));
    char *id = ask_for(&f, "import");
    ends(&f, id, "completed");
    free(id);
    sk_sim_disk_slow(f.hub_io, 5 * SK_S); /* an export writes a megabyte */
    id = ask_for(&f, "export");
    assert_null(ask_for(&f, "import"));
    assert_int_equal(f.status, 403);
    assert_non_null(strstr(f.answer, "JobQuotaExceeded"));
    snprintf(path, sizeof path, "/jobs/%s", id);
    fleet_call(&f, SK_HTTP_DELETE, path, NULL);
    assert_int_equal(f.status, 200);
    ends(&f, id, "cancelled");
    fleet_call(&f, SK_HTTP_DELETE, path, NULL); /* it stays as it is */
    ends(&f, id, "cancelled");
    fleet_call(&f, SK_HTTP_GET, "/jobs/none", NULL);
    assert_int_equal(f.status, 404);
    sk_sim_disk_slow(f.hub_io, SK_MS);
    free(id);
    id = ask_for(&f, "export");
    ends(&f, id, "completed");
    text.n = 0;
    get_blob(&f, "devices.txt", &text);
    assert_int_equal(lines_of(sk_buffer_span(&text)), 2000);
    free(id);
    sk_buffer_free(&text);
    fleet_free(&f);
}

TEST(a_job_that_a_fall_of_the_hub_ends_has_failed_and_is_asked_for_again) {
    struct seeds range = seeds_of("FLEET_SEEDS", 6);
    (void)state;
    for (uint64_t seed = range.first; seed <= range.last; seed++) {
        struct fleet f;
        struct sk_buffer text = {0}, exported = {0};
        char is[32];
        fleet_new_hub(&f, seed);
        make_lines(&text, 400);
        put_blob(&f, "devices.txt", sk_buffer_span(&text));
        sk_sim_disk_slow(f.hub_io, 20 * SK_MS);
        char *id = ask_for(&f, seed % 2 ? "import" : "export");
        sk_sim_run(f.sim, sk_sim_chance(f.sim, 200 * SK_MS));
        fleet_crash_hub(&f);
        sk_sim_run(f.sim, SK_S);
        status_of(&f, id, is);
        if (strcmp(is, "failed") != 0 && strcmp(is, "completed") != 0)
            fail_msg("seed %llu: %s", (unsigned long long)seed, is);
        free(id);
        id = ask_for(&f, "import");
        ends(&f, id, "completed");
        get_blob(&f, "importErrors.log", &exported);
        assert_int_equal(exported.n, 0);
        free(id);
        sk_buffer_free(&text);
        sk_buffer_free(&exported);
        fleet_free(&f);
    }
}

TEST(lines_that_mean_nothing_are_told_and_do_not_keep_the_others) {
    struct fleet f;
    struct sk_buffer errors = {0};
    static const char text[] = "\xef\xbb\xbf{\"id\":\"first\"}\r\n"
                               "\n"
                               "nonsense\n"
                               "[1]\n"
                               "{\"id\":\"bad id\"}\n"
                               "{\"id\":\"gone\",\"importMode\":\"delete\"}\n"
                               "{\"id\":\"x\",\"importMode\":\"conquer\"}\n"
                               "{\"id\":\"last\"}";
    (void)state;
    fleet_new_hub(&f, 1);
    put_blob(&f, "devices.txt", sk_span_z(text));
    char *id = ask_for(&f, "import");
    ends(&f, id, "completed");
    fleet_shows(&f, "/devices/first", "deviceId", "\"first\"");
    fleet_shows(&f, "/devices/last", "deviceId", "\"last\"");
    get_blob(&f, "importErrors.log", &errors);
    assert_int_equal(lines_of(sk_buffer_span(&errors)), 5);
    sk_buffer_byte(&errors, 0);
    assert_non_null(strstr(errors.p, "line 3:"));
    assert_non_null(strstr(errors.p, "DeviceNotFound"));
    sk_buffer_free(&errors);
    free(id);
    fleet_free(&f);
}
