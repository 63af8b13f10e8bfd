/* Files: uploads of devices, and the blob service that takes them. */
#include "support/raw_http.h"
#include "support/test.h"

#define FULL_LINE "x-ms-version: 2021-08-06\r\n"

/* ---- asking ---- */

/* Where a device may put a file: "/container/blob?sas". The caller frees it. */
static char *announce(struct fleet *f, const char *name) {
    struct raw_answer answer;
    char body[128];
    struct sk_buffer to = {0};
    snprintf(body, sizeof body, "{\"blobName\":\"%s\"}", name);
    raw_asks(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices/d1/files" VERSION,
                               .resource = "hub.test/devices/d1",
                               .policy = "",
                               .body = sk_span_z(body)},
             &answer);
    assert_int_equal(answer.parser.status, 200);
    json_t *json = json_loadb(answer.parser.body.p, answer.parser.body.n, 0, NULL);
    sk_http_parser_free(&answer.parser);
    assert_string_equal(json_string_value(json_object_get(json, "hostName")), "hub.test");
    sk_buffer_print(&to, "/%s/%s%s", json_string_value(json_object_get(json, "containerName")),
                    json_string_value(json_object_get(json, "blobName")),
                    json_string_value(json_object_get(json, "sasToken")));
    sk_buffer_byte(&to, 0);
    json_decref(json);
    return to.p;
}

/* The status; `body` gets the answer's (or NULL). */
static unsigned blob(struct fleet *f, const char *method, const char *target, const char *headers,
                     struct sk_span content, struct sk_buffer *body) {
    struct raw_answer answer;
    raw_asks(f,
             &(struct raw_ask){.method = method,
                               .target = target,
                               .no_token = true,
                               .headers = headers,
                               .body = content},
             &answer);
    unsigned status = answer.parser.status;
    if (body) sk_buffer_append(body, sk_buffer_span(&answer.parser.body));
    sk_http_parser_free(&answer.parser);
    return status;
}

static void refused(struct fleet *f, const char *method, const char *target, const char *headers,
                    const char *content, unsigned status, const char *code) {
    struct sk_buffer body = {0};
    unsigned got = blob(f, method, target, headers, sk_span_z(content), &body);
    sk_buffer_byte(&body, 0);
    if (got != status || (code && strstr(body.p, code) == NULL))
        fail_msg("%s %s: %u %s instead of %u %s", method, target, got, body.p, status, code);
    sk_buffer_free(&body);
}

static const char *with(struct sk_buffer *to, const char *target, const char *more) {
    to->n = 0;
    sk_buffer_print(to, "%s%s", target, more);
    sk_buffer_byte(to, 0);
    return to->p;
}

/* ---- what is on the disk ---- */

static void count_one(void *arg, struct sk_span name) {
    (void)name;
    (*(size_t *)arg)++;
}

static size_t files_on_disk(struct fleet *f) {
    size_t n = 0;
    char path[1024];
    for (unsigned i = 0; i < 256; i++) {
        snprintf(path, sizeof path, "%s/blobs/%02x", f->config.hubs[0].data, i);
        sk_folder_list(f->hub_io, path, count_one, &n);
    }
    return n;
}

/* ---- stories ---- */

static void each_in_its_world(void (*story)(struct fleet *f, uint64_t seed), uint64_t seeds) {
    struct seeds range = seeds_of("FLEET_SEEDS", seeds);
    for (uint64_t seed = range.first; seed <= range.last; seed++) {
        struct fleet f;
        fleet_new_hub(&f, seed);
        fleet_put_device(&f, "d1", "");
        fleet_put_device(&f, "d2", "");
        story(&f, seed);
        fleet_free(&f);
    }
}

static void put_and_get(struct fleet *f, uint64_t seed) {
    struct sk_buffer content = {0}, got = {0};
    char *target = announce(f, "a/b.bin");
    (void)seed;
    for (size_t i = 0; i < 700000; i++) sk_buffer_byte(&content, (char)(i * 31 % 251));
    assert_int_equal(
        blob(f, "PUT", target, "x-ms-blob-type: BlockBlob\r\n", sk_buffer_span(&content), NULL),
        201);
    assert_int_equal(blob(f, "GET", target, NULL, SK_NONE, &got), 200);
    assert_true(sk_span_eq(sk_buffer_span(&got), sk_buffer_span(&content)));
    got.n = 0;
    assert_int_equal(blob(f, "GET", target, "Range: bytes=262140-262149\r\n", SK_NONE, &got), 206);
    assert_true(sk_span_eq(sk_buffer_span(&got), sk_span(content.p + 262140, 10)));
    got.n = 0;
    assert_int_equal(blob(f, "GET", target, "Range: bytes=-3\r\n", SK_NONE, &got), 206);
    assert_true(sk_span_eq(sk_buffer_span(&got), sk_span(content.p + content.n - 3, 3)));
    refused(f, "GET", target, "Range: bytes=700000-\r\n", "", 416, "InvalidRange");
    assert_int_equal(blob(f, "PUT", target, "x-ms-blob-type: BlockBlob\r\n", SK_NONE, NULL), 201);
    got.n = 0;
    assert_int_equal(blob(f, "GET", target, NULL, SK_NONE, &got), 200);
    assert_int_equal(got.n, 0);
    sk_buffer_free(&content);
    sk_buffer_free(&got);
    free(target);
}

TEST(a_file_is_read_back_as_it_was_put_whole_and_by_ranges) {
    each_in_its_world(put_and_get, 3);
}

static void say_wrong_things(struct fleet *f, uint64_t seed) {
    struct sk_buffer to = {0};
    static const char put[] = "x-ms-blob-type: BlockBlob\r\n";
    char *target = announce(f, "f");
    (void)seed;
    refused(f, "PUT", target, "", "x", 400, "BlockBlob");
    refused(f, "PUT", target, "x-ms-blob-type: AppendBlob\r\n", "", 400, "InvalidHeaderValue");
    refused(f, "DELETE", target, "", "", 403, "AuthorizationPermissionMismatch");
    refused(f, "PUT", target,
            "x-ms-blob-type: BlockBlob\r\nContent-MD5: AAAAAAAAAAAAAAAAAAAAAA==\r\n", "x", 400,
            "Md5Mismatch");
    refused(f, "PUT", with(&to, target, "&comp=block&blockid=%21"), "", "x", 400, "InvalidBlockId");
    refused(f, "PUT", with(&to, target, "&comp=block&blockid=AAAA"), "", "", 400,
            "InvalidHeaderValue");
    refused(f, "PUT", with(&to, target, "&comp=blocklist"), "", "<x/>", 400, "InvalidXmlDocument");
    refused(f, "PUT", with(&to, target, "&comp=blocklist"), "",
            "<BlockList><Latest>AAAA</Latest></BlockList>", 400, "InvalidBlockList");
    refused(f, "PUT", with(&to, target, "&comp=lease"), "", "", 405, "UnsupportedHttpVerb");
    refused(f, "GET", target, "", "", 404, "BlobNotFound");
    refused(f, "GET", "/uploads/d1/f", FULL_LINE, "", 401, "NoAuthenticationInformation");
    refused(f, "GET", "/up..ads/f?sv=2021-08-06&sig=x", "", "", 400, "InvalidResourceName");
    refused(f, "GET", "/uploads/%2e%2e/f?sv=2021-08-06&sig=x", "", "", 400, "InvalidUri");
    refused(f, "GET", "/uploads/%00?sv=2021-08-06&sig=x", "", "", 400, "InvalidUri");
    refused(f, "GET", "/uploads/%ff?sv=2021-08-06&sig=x", "", "", 400, "InvalidUri");
    /* another's place, or another's name in the same signature */
    char *sas = strchr(target, '?');
    refused(f, "PUT", with(&to, "/uploads/d2/f", sas), put, "x", 403, "AuthenticationFailed");
    refused(f, "PUT", with(&to, "/others/d1/f", sas), put, "x", 403, "AuthenticationFailed");
    refused(f, "PUT", with(&to, target, "&sp=rcwd"), put, "x", 201, NULL); /* the first counts */
    sk_sim_clock_jump(f->hub_io, 2 * 3600 * 1000000ll);
    refused(f, "PUT", target, put, "x", 403, "AuthenticationFailed");
    sk_buffer_free(&to);
    free(target);
}

TEST(what_is_wrong_with_a_request_for_a_blob_is_told_in_azures_words) {
    each_in_its_world(say_wrong_things, 1);
}

static const char *block_list(struct sk_buffer *to, unsigned count) {
    to->n = 0;
    sk_buffer_text(to, "<BlockList>");
    for (unsigned i = 0; i < count; i++) sk_buffer_text(to, "<Latest>AAAA</Latest>");
    sk_buffer_text(to, "</BlockList>");
    sk_buffer_byte(to, 0);
    return to->p;
}

static void go_to_the_limits(struct fleet *f, uint64_t seed) {
    struct sk_buffer to = {0}, text = {0};
    char id[100];
    (void)seed;
    char *target = announce(f, "f");
    /* blocks of a blob */
    refused(f, "PUT", with(&to, target, "&comp=block&blockid=AAAA"), "", "x", 201, NULL);
    refused(f, "PUT", with(&to, target, "&comp=blocklist"), "", block_list(&text, 5001), 400,
            "BlockListTooLong");
    refused(f, "PUT", with(&to, target, "&comp=blocklist"), "", block_list(&text, 5000), 201, NULL);
    /* bytes of a block's id */
    for (size_t bytes = 64; bytes <= 65; bytes++) {
        char raw[65] = {0};
        struct sk_buffer encoded = {0}, escaped = {0};
        sk_base64_encode(&encoded, sk_span(raw, bytes));
        sk_percent_encode(&escaped, sk_buffer_span(&encoded));
        snprintf(id, sizeof id, "%.*s", SK_ARG(sk_buffer_span(&escaped)));
        text.n = 0;
        sk_buffer_print(&text, "&comp=block&blockid=%s", id);
        sk_buffer_byte(&text, 0);
        refused(f, "PUT", with(&to, target, text.p), "", "x", bytes == 64 ? 201 : 400,
                bytes == 64 ? NULL : "InvalidBlockId");
        sk_buffer_free(&encoded);
        sk_buffer_free(&escaped);
    }
    /* characters of names */
    for (size_t n = 1024; n <= 1025; n++) {
        to.n = 0;
        sk_buffer_text(&to, "/uploads/");
        for (size_t i = 0; i < n; i++) sk_buffer_byte(&to, 'n');
        sk_buffer_text(&to, "?sv=2021-08-06&sig=x");
        sk_buffer_byte(&to, 0);
        refused(f, "GET", to.p, "", "", n == 1024 ? 403 : 400,
                n == 1024 ? "AuthenticationFailed" : "InvalidUri");
    }
    for (size_t n = 63; n <= 64; n++) {
        to.n = 0;
        sk_buffer_byte(&to, '/');
        for (size_t i = 0; i < n; i++) sk_buffer_byte(&to, 'n');
        sk_buffer_text(&to, "/f?sv=2021-08-06&sig=x");
        sk_buffer_byte(&to, 0);
        refused(f, "GET", to.p, "", "", n == 63 ? 403 : 400,
                n == 63 ? "AuthenticationFailed" : "InvalidResourceName");
    }
    sk_buffer_free(&to);
    sk_buffer_free(&text);
    free(target);
}

TEST(limits_hold_where_they_are_and_not_one_further) {
    each_in_its_world(go_to_the_limits, 1);
}

static void fill_the_disk(struct fleet *f, uint64_t seed) {
    static const char put[] = "x-ms-blob-type: BlockBlob\r\n";
    char *target = announce(f, "f");
    (void)seed;
    refused(f, "PUT", target, put, "first", 201, NULL);
    sk_sim_disk_limit(f->hub_io, 200000);
    refused(f, "PUT", target, put, "second", 507, "InsufficientStorage");
    sk_sim_disk_limit(f->hub_io, UINT64_MAX);
    refused(f, "GET", target, "", "", 200, "first");
    refused(f, "PUT", target, put, "third", 201, NULL);
    sk_sim_run(f->sim, 10 * SK_S);
    assert_int_equal(files_on_disk(f), 1); /* what was replaced is gone */
    free(target);
}

TEST(a_full_disk_refuses_files_and_takes_them_again_when_there_is_room) {
    each_in_its_world(fill_the_disk, 2);
}

/* Sends a request and lets the machine fall somewhere in between; false: it was answered before. */
static bool falls_during(struct fleet *f, const char *target, struct sk_span content,
                         unsigned *status) {
    struct raw_client c;
    struct raw_answer answer;
    struct sk_buffer out = {0};
    raw_open(&c, f, "hub.test");
    raw_put_ask(&out, f,
                &(struct raw_ask){.method = "PUT",
                                  .target = target,
                                  .no_token = true,
                                  .headers = "x-ms-blob-type: BlockBlob\r\n",
                                  .body = content});
    raw_send_buffer(&c, &out);
    sk_sim_run(f->sim, sk_sim_chance(f->sim, 12 * SK_MS));
    bool answered = c.in.n > 0;
    if (answered) {
        raw_next_answer(&c, &answer);
        *status = answer.parser.status;
        sk_http_parser_free(&answer.parser);
    }
    fleet_crash_hub(f);
    raw_free(&c);
    return !answered;
}

static void lose_power(struct fleet *f, uint64_t seed) {
    struct sk_buffer to = {0}, got = {0};
    static const char list[] = "<BlockList><Latest>AAAA</Latest><Latest>BBBB</Latest></BlockList>";
    char *target = announce(f, "f");
    char is[64] = "", may[64] = "";
    unsigned status = 0;
    for (unsigned round = 1; round <= 12; round++) {
        char one[32], two[32];
        snprintf(one, sizeof one, "first of %u,", round);
        snprintf(two, sizeof two, "second of %u", round);
        snprintf(may, sizeof may, "%s%s", one, two);
        blob(f, "PUT", with(&to, target, "&comp=block&blockid=AAAA"), "", sk_span_z(one), NULL);
        blob(f, "PUT", with(&to, target, "&comp=block&blockid=BBBB"), "", sk_span_z(two), NULL);
        if (!falls_during(f, with(&to, target, "&comp=blocklist"), sk_span_z(list), &status)) {
            assert_int_equal(status, 201);
            snprintf(is, sizeof is, "%s", may);
        }
        got.n = 0;
        status = blob(f, "GET", target, NULL, SK_NONE, &got);
        bool old = is[0] ? status == 200 && sk_span_is(sk_buffer_span(&got), is) : status == 404;
        bool fresh = status == 200 && sk_span_is(sk_buffer_span(&got), may);
        if (!old && !fresh)
            fail_msg("seed %llu, round %u: %u %.*s", (unsigned long long)seed, round, status,
                     SK_ARG(sk_buffer_span(&got)));
        if (fresh) snprintf(is, sizeof is, "%s", may);
    }
    /* The blob's two, and at most two that wait for a list. */
    sk_sim_run(f->sim, 10 * SK_S);
    if (files_on_disk(f) > 4)
        fail_msg("seed %llu: %zu files", (unsigned long long)seed, files_on_disk(f));
    sk_buffer_free(&to);
    sk_buffer_free(&got);
    free(target);
}

TEST(a_blob_is_there_whole_or_not_at_all_whenever_power_is_lost) {
    each_in_its_world(lose_power, 20);
}

static void say_it_twice(struct fleet *f, uint64_t seed) {
    struct raw_answer answer;
    (void)seed;
    raw_asks(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices/d1/files" VERSION,
                               .resource = "hub.test/devices/d1",
                               .policy = "",
                               .body = sk_span_z("{\"blobName\":\"a b.txt\"}")},
             &answer);
    json_t *json = json_loadb(answer.parser.body.p, answer.parser.body.n, 0, NULL);
    sk_http_parser_free(&answer.parser);
    struct sk_buffer target = {0}, body = {0};
    const char *id = json_string_value(json_object_get(json, "correlationId"));
    sk_buffer_print(&body, "{\"correlationId\":\"%s\",\"isSuccess\":true}", id);
    struct raw_ask done = {.method = "POST",
                           .target = "/devices/d1/files/notifications" VERSION,
                           .resource = "hub.test/devices/d1",
                           .policy = "",
                           .body = sk_buffer_span(&body)};
    raw_gets(f, &done, 400, "ArgumentInvalid", "not there");
    sk_buffer_print(&target, "/uploads/d1/a%%20b.txt%s",
                    json_string_value(json_object_get(json, "sasToken")));
    sk_buffer_byte(&target, 0);
    refused(f, "PUT", target.p, "x-ms-blob-type: BlockBlob\r\n", "some", 201, NULL);
    raw_gets(f, &done, 204, NULL, "");
    raw_gets(f, &done, 404, "GenericNotFound", "");
    fleet_crash_hub(f);
    struct raw_ask receive = {.target = "/messages/serviceBound/fileNotifications" VERSION};
    raw_gets(f, &receive, 200, NULL, "https://hub.test/uploads/d1/a%20b.txt");
    raw_gets(f, &receive, 204, NULL, ""); /* it is locked */
    sk_sim_run(f->sim, 61 * SK_S);
    raw_gets(f, &receive, 200, NULL, "\"blobSizeInBytes\":4");
    sk_buffer_free(&target);
    sk_buffer_free(&body);
    json_decref(json);
}

TEST(a_file_is_told_of_once_and_only_when_it_is_there) {
    each_in_its_world(say_it_twice, 2);
}

static void go_away(struct fleet *f, uint64_t seed) {
    struct raw_client c;
    char *target = announce(f, "f");
    (void)seed;
    raw_open(&c, f, "hub.test");
    struct sk_buffer out = {0};
    sk_buffer_print(&out,
                    "PUT %s HTTP/1.1\r\nHost: hub.test\r\nx-ms-blob-type: BlockBlob\r\n"
                    "Content-Length: 900000\r\n\r\n",
                    target);
    for (size_t i = 0; i < 600000; i++) sk_buffer_byte(&out, 'x');
    raw_send_buffer(&c, &out);
    sk_sim_run(f->sim, sk_sim_chance(f->sim, 30 * SK_MS));
    raw_abort(&c);
    sk_sim_run(f->sim, 10 * SK_S);
    raw_free(&c);
    assert_int_equal(files_on_disk(f), 0);
    refused(f, "GET", target, "", "", 404, "BlobNotFound");
    free(target);
}

TEST(a_client_that_goes_in_the_middle_of_a_file_leaves_nothing_behind) {
    each_in_its_world(go_away, 10);
}

/* Those that send next to nothing keep nobody out: not for longer than it takes to see that. */
static void hold_all_places(struct fleet *f, uint64_t seed) {
    enum { PLACES = 64 };
    static const char put[] = "x-ms-blob-type: BlockBlob\r\n";
    struct raw_client held[PLACES];
    unsigned closed = 0;
    char *target = announce(f, "f");
    (void)seed;
    for (size_t i = 0; i < PLACES; i++) {
        struct sk_buffer begin = {0};
        if (i == PLACES - 1) refused(f, "PUT", target, put, "the last place", 201, NULL);
        raw_open(&held[i], f, "hub.test");
        sk_buffer_print(&begin,
                        "PUT %s HTTP/1.1\r\nHost: hub.test\r\n%sContent-Length: 9000\r\n\r\nx",
                        target, put);
        raw_send_buffer(&held[i], &begin);
        sk_sim_run(f->sim, 20 * SK_MS);
    }
    refused(f, "PUT", target, put, "too early", 503, "ServerBusy");
    sk_sim_run(f->sim, 5 * SK_S);
    refused(f, "PUT", target, put, "in time", 201, NULL);
    refused(f, "GET", target, "", "", 200, "in time");
    for (size_t i = 0; i < PLACES; i++) closed += raw_is_closed(&held[i]);
    assert_int_equal(closed, 1);
    assert_true(raw_is_closed(&held[0])); /* the oldest */
    for (size_t i = 0; i < PLACES; i++) raw_free(&held[i]);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(files_on_disk(f), 1);
    free(target);
}

TEST(slow_clients_do_not_hold_all_places_of_those_that_put_files) {
    each_in_its_world(hold_all_places, 1);
}

static void wait_for_blocks(struct fleet *f, uint64_t seed) {
    struct sk_buffer to = {0};
    char *target = announce(f, "f");
    (void)seed;
    refused(f, "PUT", with(&to, target, "&comp=block&blockid=AAAA"), "", "x", 201, NULL);
    assert_int_equal(files_on_disk(f), 1);
    sk_sim_clock_jump(f->hub_io, 8 * 86400 * 1000000ll);
    sk_sim_run(f->sim, 2 * 3600 * SK_S);
    assert_int_equal(files_on_disk(f), 0);
    sk_buffer_free(&to);
    free(target);
}

TEST(blocks_that_no_list_names_go_after_a_week) {
    each_in_its_world(wait_for_blocks, 1);
}

static void replace_while_it_is_copied(struct fleet *f, uint64_t seed) {
    char mark[1024];
    const long long day_us = 86400ll * 1000000;
    const int64_t begun_us[] = {sk_io_wall(f->hub_io), sk_io_wall(f->hub_io) - day_us - 1};
    char *target = announce(f, "f");
    (void)seed;
    for (int i = 0; i < 2; i++) { /* the second is of a backup that has died long ago */
        snprintf(mark, sizeof mark, "%s/blobs/" SK_HUB_BLOBS_COPIED, f->config.hubs[0].data);
        sk_folder_make(f->hub_io, mark, 0755);
        snprintf(mark, sizeof mark, "%s/blobs/" SK_HUB_BLOBS_COPIED "/%lld", f->config.hubs[0].data,
                 (long long)begun_us[i]);
        assert_int_equal(sk_file_save(f->hub_io, mark, SK_NONE, 0600), SK_OK);
        refused(f, "PUT", target, "x-ms-blob-type: BlockBlob\r\n", "first", 201, NULL);
        refused(f, "PUT", target, "x-ms-blob-type: BlockBlob\r\n", "second", 201, NULL);
        sk_sim_run(f->sim, 60 * SK_S);
        assert_int_equal(files_on_disk(f), i == 0 ? 2 : 1);
        sk_file_remove(f->hub_io, mark);
        sk_sim_run(f->sim, 10 * SK_S);
        assert_int_equal(files_on_disk(f), 1);
    }
    free(target);
}

TEST(what_a_backup_copies_is_not_removed_meanwhile) {
    each_in_its_world(replace_while_it_is_copied, 1);
}

static void reload_with_an_account(struct fleet *f, uint64_t seed) {
    static const char toml[] =
        FLEET_TOML_HUB FLEET_TOML_OWNER "[hub.files]\nconnection_string = \"AccountName=store;"
                                        "AccountKey=" FLEET_KEY ";BlobEndpoint=http://hub.test\"\n";
    char error[SK_HUB_CONFIG_ERROR_MAX];
    (void)seed;
    fleet_stop_hub(f);
    sk_hub_config_free(&f->config);
    assert_int_equal(sk_hub_config_parse(sk_span_z(toml), "hub.toml", "", &f->config, error),
                     SK_OK);
    fleet_start_hub(f);
    assert_null(fleet_reload(f, toml));
    free(announce(f, "f"));
}

TEST(a_reload_keeps_the_storage_account) {
    each_in_its_world(reload_with_an_account, 1);
}
