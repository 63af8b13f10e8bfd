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

#define HERE "https://hub.test"
/* The same service as a storage account of somebody else's. */
#define ACCOUNT "http://hub.test:8883"

/* The job's id, or NULL when it was refused with f->status. Owned by the caller. `more`: members,
 * each behind a comma. */
static char *ask_at(struct fleet *f, const char *at, const char *type, const char *more) {
    struct sk_buffer body = {0}, uri = {0};
    container(f, &uri, "uploads", ALL, NULL);
    sk_buffer_print(&body,
                    "{\"type\":\"%s\",\"inputBlobContainerUri\":\"%s%s\","
                    "\"outputBlobContainerUri\":\"%s%s\"%s}",
                    type, at, uri.p, at, uri.p, more);
    sk_buffer_byte(&body, 0);
    fleet_call(f, SK_HTTP_POST, "/jobs/create", body.p);
    json_t *job = f->status == 200 ? json_loads(f->answer, 0, NULL) : NULL;
    char *id = sk_text_dup(json_string_value(json_object_get(job, "jobId")));
    json_decref(job);
    sk_buffer_free(&body);
    sk_buffer_free(&uri);
    return id;
}

static char *ask_with(struct fleet *f, const char *type, const char *more) {
    return ask_at(f, HERE, type, more);
}

static char *ask_for(struct fleet *f, const char *type) {
    return ask_with(f, type, "");
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

/* ---- power ---- */

/* Every kind of line, and several that fail; what each does shows in the twin's version, in who is
 * there, or in the log. */
static void make_mixed_lines(struct sk_buffer *text, unsigned count) {
    int size;
    for (unsigned i = 0; i < count; i++) {
        switch (i % 8) {
        case 0: sk_buffer_print(text, "{\"id\":\"d%u\",\"importMode\":\"create\"}\n", i); break;
        case 1: /* there since the line before: an error */
            sk_buffer_print(text, "{\"id\":\"d%u\",\"importMode\":\"create\"}\n", i - 1);
            break;
        case 2:
            sk_buffer_print(text,
                            "{\"id\":\"d%u\",\"importMode\":\"updateTwin\",\"tags\":{\"n\":%u}}\n",
                            i - 2, i);
            break;
        case 3: /* the etag of a twin that was changed: an error, and one for whom it fits */
            sk_buffer_print(text,
                            "{\"id\":\"d%u\",\"importMode\":\"updateTwinIfMatchETag\","
                            "\"twinETag\":\"AAAAAAAAAAE=\",\"tags\":{\"m\":1}}\n",
                            i % 16 == 3 ? i - 3 : i - 4);
            break;
        case 4: sk_buffer_print(text, "{\"id\":\"e%u\",\"tags\":{\"n\":%u}}\n", i, i); break;
        case 5: /* what is there goes, what is not is an error */
            sk_buffer_print(text, "{\"id\":\"%s%u\",\"importMode\":\"delete\"}\n",
                            i % 16 == 5 ? "e" : "none", i - 1);
            break;
        case 6: sk_buffer_print(text, "nonsense %u\n", i); break;
        default: /* at times with tags that are too large: a warning */
            size = i % 80 == 7 ? 4000 : 1;
            sk_buffer_print(
                text, "{\"id\":\"f%u\",\"tags\":{\"a\":\"%0*d\",\"b\":\"%0*d\",\"c\":\"%0*d\"}}\n",
                i, size, 1, size, 1, size, 1);
            break;
        }
    }
}

/* How many twins there are of each version, and what their tags add up to: owned by the caller. */
static char *all_twins(struct fleet *f) {
    fleet_call(f, SK_HTTP_POST, "/devices/query",
               "{\"query\":\"SELECT version, COUNT() AS twins, SUM(tags.n) AS tags FROM devices "
               "GROUP BY version\"}");
    assert_int_equal(f->status, 200);
    assert_non_null(strstr(f->answer, "\"version\":3"));
    return sk_text_dup(f->answer);
}

/* False: the hub had nothing more to write. */
static bool lose_power(struct fleet *f, unsigned after) {
    enum { NEVER = 1000000 };
    sk_sim_power_cut_after(f->hub_io, after, (enum sk_sim_loss)(after % 3));
    for (int i = 0; i < 30 && !sk_sim_is_dead(f->hub_io); i++) sk_sim_run(f->sim, 100 * SK_MS);
    bool fell = sk_sim_is_dead(f->hub_io);
    if (fell)
        fleet_power_hub(f);
    else
        sk_sim_power_cut_after(f->hub_io, NEVER, SK_SIM_LOSE_ALL);
    return fell;
}

/* The hub loses power after so many writes (0: it does not) from the beginning of the import on,
 * and once more when it has gone on. False: it had ended before. */
static bool import_with_a_cut(unsigned cut, const struct sk_buffer *text, char **twins,
                              struct sk_buffer *errors) {
    struct fleet f;
    fleet_new_hub(&f, 1);
    put_blob(&f, "devices.txt", sk_buffer_span(text));
    sk_sim_disk_slow(f.hub_io, 20 * SK_MS);
    char *id = ask_for(&f, "import");
    bool fell = cut && lose_power(&f, cut);
    if (fell) lose_power(&f, 1 + cut % 4);
    ends(&f, id, "completed");
    get_blob(&f, "importErrors.log", errors);
    *twins = all_twins(&f);
    free(id);
    fleet_free(&f);
    return fell;
}

TEST(an_import_goes_on_after_any_loss_of_power_as_if_there_had_been_none) {
    struct sk_buffer text = {0}, expected = {0}, errors = {0};
    char *twins, *expected_twins;
    unsigned cut = 0;
    bool fell;
    (void)state;
    make_mixed_lines(&text, 1200);
    import_with_a_cut(0, &text, &expected_twins, &expected);
    assert_int_equal(lines_of(sk_buffer_span(&expected)), 150 + 150 + 75 + 150 + 15);
    do {
        fell = import_with_a_cut(++cut, &text, &twins, &errors);
        if (strcmp(twins, expected_twins) != 0)
            fail_msg("cut %u: %s\ninstead of %s", cut, twins, expected_twins);
        if (!sk_span_eq(sk_buffer_span(&errors), sk_buffer_span(&expected)))
            fail_msg("cut %u: %.*s\ninstead of %.*s", cut, SK_ARG(sk_buffer_span(&errors)),
                     SK_ARG(sk_buffer_span(&expected)));
        free(twins);
    } while (fell);
    assert_true(cut > 10);
    free(expected_twins);
    sk_buffer_free(&text);
    sk_buffer_free(&expected);
    sk_buffer_free(&errors);
}

TEST(an_export_begins_anew_after_a_fall_of_the_hub) {
    struct seeds range = seeds_of("FLEET_SEEDS", 6);
    (void)state;
    for (uint64_t seed = range.first; seed <= range.last; seed++) {
        struct fleet f;
        struct sk_buffer text = {0}, exported = {0};
        fleet_new_hub(&f, seed);
        make_lines(&text, 400);
        put_blob(&f, "devices.txt", sk_buffer_span(&text));
        char *id = ask_for(&f, "import");
        ends(&f, id, "completed");
        free(id);
        sk_sim_disk_slow(f.hub_io, 20 * SK_MS);
        id = ask_for(&f, "export");
        sk_sim_run(f.sim, sk_sim_chance(f.sim, 200 * SK_MS));
        fleet_crash_hub(&f);
        ends(&f, id, "completed");
        get_blob(&f, "devices.txt", &exported);
        assert_int_equal(lines_of(sk_buffer_span(&exported)), 400);
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

/* Does a job to its good end. */
static void do_job(struct fleet *f, const char *type, const char *more) {
    char *id = ask_with(f, type, more);
    assert_non_null(id);
    ends(f, id, "completed");
    free(id);
}

TEST(configurations_go_along_where_that_is_asked_for) {
    struct fleet f;
    struct sk_buffer lines = {0}, errors = {0};
    static const char with[] = ",\"includeConfigurations\":true",
                      named[] = ",\"includeConfigurations\":true,"
                                "\"configurationsBlobName\":\"my/configs.txt\"";
    (void)state;
    fleet_new_hub(&f, 1);
    fleet_call(&f, SK_HTTP_PUT, "/configurations/cold",
               "{\"content\":{\"deviceContent\":{\"properties.desired.rate\":5}},\"priority\":7,"
               "\"labels\":{\"a\":\"b\"},\"targetCondition\":\"tags.cold = true\"}");
    assert_int_equal(f.status, 200);
    do_job(&f, "export", "");
    get_blob(&f, "configurations.txt", &lines);
    assert_int_equal(lines.n, 0); /* not without being asked for */
    do_job(&f, "export", with);
    get_blob(&f, "configurations.txt", &lines);
    assert_int_equal(lines_of(sk_buffer_span(&lines)), 1);
    fleet_call(&f, SK_HTTP_DELETE, "/configurations/cold", NULL);
    do_job(&f, "import", "");
    fleet_call(&f, SK_HTTP_GET, "/configurations/cold", NULL);
    assert_int_equal(f.status, 404);
    for (int i = 0; i < 2; i++) { /* the second finds all as it says */
        do_job(&f, "import", with);
        fleet_shows(&f, "/configurations/cold", "priority", "7");
        fleet_shows(&f, "/configurations/cold", "labels/a", "\"b\"");
        get_blob(&f, "importErrors.log", &errors);
        assert_int_equal(errors.n, 0);
    }
    fleet_call(&f, SK_HTTP_PUT, "/configurations/cold", "{\"priority\":8,\"etag\":\"MQ==\"}");
    put_blob(
        &f, "my/configs.txt",
        SK_SPAN("{\"id\":\"cold\",\"etag\":\"MTc=\",\"priority\":9,\"content\":"
                "{\"deviceContent\":{\"properties.desired.rate\":5}}}\n"
                "nonsense\n\n"
                "{\"id\":\"warm\",\"content\":{\"deviceContent\":{\"properties.desired.a\":1}}}\n"
                "{\"id\":\"BAD\",\"content\":{}}\n"
                "{\"id\":\"x\",\"importMode\":\"conquer\"}\n{}"));
    do_job(&f, "import", named);
    fleet_shows(&f, "/configurations/warm", "id", "\"warm\"");
    fleet_shows(&f, "/configurations/cold", "priority", "7");
    get_blob(&f, "importErrors.log", &errors);
    sk_buffer_byte(&errors, 0);
    assert_int_equal(lines_of(sk_buffer_span(&errors)), 5);
    assert_non_null(strstr(errors.p, "PreconditionFailed"));
    assert_non_null(strstr(errors.p, "line 2:"));
    free(ask_with(&f, "import",
                  ",\"includeConfigurations\":true,\"configurationsBlobName\":\"none\""));
    sk_sim_run(f.sim, SK_S);
    fleet_call(&f, SK_HTTP_GET, "/jobs", NULL);
    assert_non_null(strstr(f.answer, "there is no such blob of configurations"));
    sk_buffer_free(&lines);
    sk_buffer_free(&errors);
    fleet_free(&f);
}

/* ---- a storage account ---- */

static void start_with_account(struct fleet *f, uint64_t seed) {
    static const char toml[] =
        FLEET_TOML_HUB FLEET_TOML_OWNER "[hub.files]\nconnection_string = \"AccountName=owner;"
                                        "AccountKey=" FLEET_KEY ";BlobEndpoint=" ACCOUNT "\"\n";
    char error[SK_HUB_CONFIG_ERROR_MAX];
    fleet_new_hub(f, seed);
    fleet_stop_hub(f);
    sk_hub_config_free(&f->config);
    assert_int_equal(sk_hub_config_parse(sk_span_z(toml), "hub.toml", "", &f->config, error),
                     SK_OK);
    fleet_start_hub(f);
}

TEST(a_container_of_the_storage_account_is_as_good_whenever_the_hub_falls) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct fleet f;
        struct sk_buffer text = {0}, exported = {0};
        (void)state;
        start_with_account(&f, seed);
        for (unsigned i = 0; i < 700; i++) /* some ranges, and some blocks */
            sk_buffer_print(
                &text, "{\"id\":\"many-%u\",\"importMode\":\"create\",\"tags\":{\"a\":\"%0*d\"}}\n",
                i, 1800, i);
        sk_buffer_text(&text, "nonsense\n");
        put_blob(&f, "devices.txt", sk_buffer_span(&text));
        char *id = ask_at(&f, ACCOUNT, "import", "");
        sk_sim_run(f.sim, sk_sim_chance(f.sim, 20 * SK_MS));
        fleet_crash_hub(&f);
        ends(&f, id, "completed");
        free(id);
        get_blob(&f, "importErrors.log", &exported);
        assert_int_equal(lines_of(sk_buffer_span(&exported)), 1);
        id = ask_at(&f, ACCOUNT, "export", ",\"includeConfigurations\":true");
        sk_sim_run(f.sim, sk_sim_chance(f.sim, 20 * SK_MS));
        fleet_crash_hub(&f);
        ends(&f, id, "completed");
        free(id);
        get_blob(&f, "devices.txt", &exported);
        assert_int_equal(lines_of(sk_buffer_span(&exported)), 700);
        sk_buffer_free(&text);
        sk_buffer_free(&exported);
        fleet_free(&f);
    }
}

TEST(of_other_servers_only_the_storage_account_is_called) {
    static const struct {
        const char *at, *why;
    } cases[] = {{"https://store.example", "neither this hub nor the storage account"},
                 {"http://hub.test:8883.example", "not the URI of a container"},
                 {"http://hub.test.example:8883", "neither this hub nor the storage account"},
                 {ACCOUNT "/other", "its signature is not by the storage account"}};
    struct fleet f;
    (void)state;
    start_with_account(&f, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(ask_at(&f, cases[i].at, "export", ""));
        assert_int_equal(f.status, 400);
        if (strstr(f.answer, cases[i].why) == NULL) fail_msg("%s: %s", cases[i].at, f.answer);
    }
    char *id = ask_at(&f, ACCOUNT, "import", ",\"inputBlobName\":\"none\"");
    ends(&f, id, "failed");
    assert_non_null(strstr(f.answer, "there is no such blob to import"));
    free(id);
    put_blob(&f, "devices.txt", SK_NONE); /* nothing in it is no mistake */
    id = ask_at(&f, ACCOUNT, "import", "");
    ends(&f, id, "completed");
    free(id);
    fleet_free(&f);
}
