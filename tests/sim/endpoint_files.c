/* Endpoints that write files: a folder, a container of the hub's own blob service, and one of a
 * storage account. What the hub has acknowledged is in files that are whole, whatever happens
 * meanwhile. The account is the same blob service, asked over its REST. */
#include "azure/blob_auth.h"
#include "support/numbers.h"
#include "support/raw_http.h"
#include "support/seeds.h"
#include "support/test.h"

#define LAKE(type, to, more)                                                                       \
    FLEET_TOML_HUB FLEET_TOML_OWNER "[[hub.endpoint]]\nname = \"lake\"\ntype = \"" type            \
                                    "\"\nto = \"" to "\"\n"                                        \
                                    "file_time = \"60s\"\nencoding = \"JSON\"\n" more              \
                                    "[[hub.route]]\nname = \"r\"\nendpoint = \"lake\"\n"
#define FOLDER(more) LAKE("folder", "/lake", more)
#define CONTAINER(more) LAKE("storage", "lake", more)
#define ACCOUNT_OF(container, more)                                                                \
    LAKE("storage",                                                                                \
         "AccountName=owner;AccountKey=" FLEET_KEY ";BlobEndpoint=http://hub.test:8883",           \
         "entity = \"" container "\"\n" more)
#define ACCOUNT(more) ACCOUNT_OF("uploads", more) /* that is always there */

static void begin_world(void **state, uint64_t seed) {
    struct fleet *f = *state = SK_NEW(struct fleet);
    fleet_new_hub(f, seed);
    fleet_put_device(f, "d1", "");
    watch_forgive(f->watch); /* it looks at the event stream */
}

static int begin(void **state) {
    begin_world(state, 1);
    return 0;
}

AROUND(begin, fleet_free_world);

static void takes(struct fleet *f, const char *toml) {
    const char *reason = fleet_reload(f, toml);
    if (reason) fail_msg("%s", reason);
}

/* ---- what is there ---- */

static void take_lines(struct sk_span text) {
    struct sk_span line;
    while (sk_span_split(&text, '\n', &line)) {
        if (line.n == 0) continue;
        json_t *json = json_loadb(line.p, line.n, 0, NULL);
        assert_string_equal(
            json_string_value(fleet_member(json, "SystemProperties/connectionDeviceId")), "d1");
        numbers_saw((unsigned)json_integer_value(fleet_member(json, "Body/n")));
        json_decref(json);
    }
}

/* Files of the partition of d1, which is the only one: "/lake/test/P/YYYY/…" by their times. */
struct lake {
    struct fleet *f;
    char path[512];
};

static void take_folder(void *arg, struct sk_span name) {
    struct lake *lake = arg, inner = {lake->f, ""};
    struct sk_buffer text = {0};
    if (name.n == 0 || name.p[0] == '.') return;
    snprintf(inner.path, sizeof inner.path, "%s/%.*s", lake->path, SK_ARG(name));
    if (!sk_span_ends(name, SK_SPAN(".json"))) {
        sk_folder_list(lake->f->hub_io, inner.path, take_folder, &inner);
        return;
    }
    assert_int_equal(sk_file_load(lake->f->hub_io, inner.path, &text), SK_OK);
    take_lines(sk_buffer_span(&text));
    sk_buffer_free(&text);
}

static void read_folder(struct fleet *f) {
    struct lake lake = {f, "/lake"};
    numbers.seen_count = 0;
    sk_folder_list(f->hub_io, lake.path, take_folder, &lake);
}

static const char *container; /* that is read */

/* "/container" or "/container/blob" with a signature by the owner's key; its answer. */
static unsigned get(struct fleet *f, struct sk_span blob, const char *query, struct sk_buffer *to) {
    struct sk_blob_target target = {SK_SPAN("owner"), sk_span_z(container), SK_NONE};
    struct raw_answer answer;
    struct sk_buffer path = {0};
    sk_buffer_print(&path, "/%s%s%.*s", container, blob.n ? "/" : "", SK_ARG(blob));
    assert_int_equal(sk_blob_sas_put(&path, &target, SK_SPAN(FLEET_KEY),
                                     SK_BLOB_READ | SK_BLOB_LIST,
                                     sk_io_wall(f->field_io) + 3600 * 1000000ll),
                     SK_OK);
    sk_buffer_text(&path, query);
    sk_buffer_byte(&path, 0);
    raw_asks(f, &(struct raw_ask){.target = path.p, .no_token = true}, &answer);
    unsigned status = answer.parser.status;
    to->n = 0;
    sk_buffer_append(to, sk_buffer_span(&answer.parser.body));
    sk_http_parser_free(&answer.parser);
    sk_buffer_free(&path);
    return status;
}

static size_t read_container(struct fleet *f) {
    struct sk_buffer list = {0}, text = {0};
    struct sk_span part;
    size_t files = 0;
    numbers.seen_count = 0;
    if (get(f, SK_NONE, "&restype=container&comp=list", &list) == 404) return 0;
    struct sk_span rest = sk_buffer_span(&list);
    while (sk_span_split(&rest, '<', &part)) {
        if (!sk_span_starts(part, SK_SPAN("Name>"))) continue;
        assert_int_equal(get(f, sk_span_skip(part, 5), "", &text), 200);
        take_lines(sk_buffer_span(&text));
        files++;
    }
    sk_buffer_free(&list);
    sk_buffer_free(&text);
    return files;
}

static void all_were_seen(void) {
    bool came[NUMBERS_MAX] = {false};
    for (size_t i = 0; i < numbers.seen_count; i++) came[numbers.seen[i]] = true;
    for (unsigned i = 0; i < numbers.next; i++)
        if (!came[i]) fail_msg("%u did not come", i);
}

/* ---- stories ---- */

TEST(a_folder_gets_files_that_are_whole_when_they_have_their_names) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    takes(f, FOLDER(""));
    numbers_send_all(f, client, 30);
    sk_sim_run(f->sim, 10 * SK_S);
    read_folder(f);
    assert_int_equal(numbers.seen_count, 0); /* it is not old enough */
    sk_sim_run(f->sim, 60 * SK_S);
    read_folder(f);
    all_were_seen();
    assert_int_equal(numbers.seen_count, 30);
    takes(f, FOLDER("file_bytes = 1024\n"));
    numbers_send_all(f, client, 30);
    sk_sim_run(f->sim, 10 * SK_S);
    read_folder(f);
    all_were_seen(); /* by their size */
    sk_device_client_free(client);
}

static void a_container_fills(struct fleet *f, const char *by_time, const char *by_size) {
    struct sk_device_client *client = numbers_begin(f);
    takes(f, by_time);
    numbers_send_all(f, client, 30);
    sk_sim_run(f->sim, 10 * SK_S);
    assert_int_equal(read_container(f), 0); /* it is not old enough */
    sk_sim_run(f->sim, 60 * SK_S);
    assert_int_equal(read_container(f), 1);
    all_were_seen();
    assert_int_equal(numbers.seen_count, 30);
    takes(f, by_size);
    for (int i = 0; i < 6; i++) { /* within a minute: names that are taken stay */
        numbers_send_all(f, client, 30);
        sk_sim_run(f->sim, SK_S);
    }
    assert_true(read_container(f) >= 7);
    all_were_seen();
    assert_int_equal(numbers.seen_count, 210);
    sk_device_client_free(client);
}

TEST(a_container_of_the_hub_gets_blobs_that_are_whole) {
    container = "lake"; /* the endpoint makes it */
    a_container_fills(*state, CONTAINER(""), CONTAINER("file_bytes = 1024\n"));
}
TEST(a_container_of_an_account_gets_blobs_that_are_whole) {
    container = "uploads";
    a_container_fills(*state, ACCOUNT(""), ACCOUNT("file_bytes = 1024\n"));
}

TEST(a_container_that_is_not_there_gets_all_when_it_is) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    container = "uploads";
    takes(f, ACCOUNT_OF("absent", ""));
    numbers_send_all(f, client, 30);
    sk_sim_run(f->sim, 3600 * SK_S);
    fleet_shows(f, "/routing/endpoints/health", "value/0/healthStatus", "\"unhealthy\"");
    fleet_shows(f, "/routing/endpoints/health", "value/0/lastKnownError",
                "\"hub.test:8883 answered 404 ContainerNotFound\"");
    takes(f, ACCOUNT(""));
    sk_sim_run(f->sim, 70 * SK_S);
    read_container(f);
    all_were_seen();
    sk_device_client_free(client);
}

/* ---- crashes ---- */

/* Power goes; the hub comes back with this configuration. */
static void lose_power(struct fleet *f, const char *toml) {
    struct sk_hub_config config;
    char error[SK_HUB_CONFIG_ERROR_MAX];
    sk_sim_power_cut(f->hub_io, (enum sk_sim_loss)sk_sim_chance(f->sim, 3));
    sk_hub_server_stop(f->hub, NULL, NULL);
    f->hub_io = sk_sim_power_on(f->hub_io);
    watch_detach(f->watch, true);
    assert_int_equal(sk_hub_config_parse(sk_span_z(toml), "hub.toml", "", &config, error), SK_OK);
    sk_hub_config_free(&f->config);
    f->config = config;
    fleet_start_hub(f);
}

static void crashes_lose_nothing(void **state, const char *toml, void (*read)(struct fleet *f)) {
    struct seeds seeds = seeds_of("FLEET_SEEDS", 4);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        fleet_free_world(state);
        begin_world(state, seed);
        struct fleet *f = *state;
        struct sk_device_client *client = numbers_begin(f);
        takes(f, toml);
        for (int i = 0; i < 10; i++) {
            numbers_send(f, client, 1 + (unsigned)sk_sim_chance(f->sim, 50));
            assert_true(sk_sim_run_until(f->sim, 600 * SK_S, numbers_acknowledged, NULL));
            sk_sim_run(f->sim, sk_sim_chance(f->sim, 70000) * SK_MS);
            lose_power(f, toml);
        }
        sk_sim_run(f->sim, 200 * SK_S);
        read(f);
        all_were_seen();
        sk_device_client_free(client);
    }
}

static void read_blobs(struct fleet *f) {
    read_container(f);
}

TEST(a_crash_loses_nothing_of_a_file_that_is_not_whole) {
    crashes_lose_nothing(state, FOLDER("file_bytes = 4096\n"), read_folder);
}
TEST(nor_of_a_blob_of_the_hub) {
    container = "lake";
    crashes_lose_nothing(state, CONTAINER("file_bytes = 4096\n"), read_blobs);
}
TEST(nor_of_a_blob_of_an_account) {
    container = "uploads";
    crashes_lose_nothing(state, ACCOUNT("file_bytes = 4096\n"), read_blobs);
}
