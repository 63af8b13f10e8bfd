/* The event stream: partitions, their numbers over restarts and power losses, where readers
 * begin and who may read beside whom. */
#include "support/hub_world.h"
#include "support/test.h"
#include "hub/events/partitions.h"

/* ---- sending and reading ---- */

static unsigned sent, stored;
static struct sk_principal sender = {.generation_id = "g", .auth_method = "{}"};

static void on_sent(struct sk_request *request, const struct sk_answer *answer) {
    if (answer->error == NULL) stored++;
    free(request);
}

/* One telemetry message of a device; its body says the how many'th of all it is. */
static void telemetry(const char *device) {
    char body[16];
    struct sk_message message = {.device = sk_span_z(device)};
    message.body = sk_span(body, (size_t)snprintf(body, sizeof body, "%u", sent++));
    struct sk_request *request = SK_NEW(struct sk_request);
    *request = (struct sk_request){.op = SK_OP_TELEMETRY,
                                   .who = &sender,
                                   .device = message.device,
                                   .message = &message,
                                   .done = on_sent};
    hub->backend.ops->submit(&hub->backend, request);
}

static void many(unsigned count) {
    static const char *const devices[] = {"d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8"};
    for (unsigned i = 0; i < count; i++) {
        telemetry(devices[sk_sim_chance(sim, 8)]);
        if (i % 16 == 0) pass(SK_MS);
    }
}

static struct sk_event_source *opened;
static struct sk_error refusal;
static struct sk_events_info told;

static void on_answer(struct sk_request *request, const struct sk_answer *answer) {
    (void)request;
    opened = answer->events;
    refusal = answer->error ? *answer->error : (struct sk_error){0};
    if (answer->info) told = *answer->info;
}

static enum sk_fault submit(enum sk_op op, const struct sk_events_ask *asked) {
    struct sk_request request = {.op = op, .ask = asked, .done = on_answer};
    hub->backend.ops->submit(&hub->backend, &request);
    return refusal.fault;
}

static struct sk_event_source *reader(unsigned partition, enum sk_events_from from, int64_t value,
                                      bool inclusive) {
    struct sk_events_ask asked = {.partition = partition, .from = {from, value, inclusive}};
    assert_int_equal(submit(SK_OP_EVENTS_WATCH, &asked), SK_FAULT_NONE);
    return opened;
}

static struct sk_events_info info_of(unsigned partition) {
    struct sk_events_ask asked = {.partition = partition};
    assert_int_equal(submit(SK_OP_EVENTS_INFO, &asked), SK_FAULT_NONE);
    return told;
}

/* Every partition is numbered from `first` on without gaps; returns how many events there are. */
static unsigned check_numbers(const uint64_t *first) {
    unsigned count = 0;
    for (unsigned p = 0; p < 4; p++) {
        struct sk_event_source *source = reader(p, SK_EVENTS_OLDEST, 0, false);
        struct sk_message message;
        uint64_t number = first ? first[p] : 0, offset = 0;
        for (; source->next(source, &message) == SK_OK; count++) {
            assert_int_equal(sk_event_number(&message), number++);
            assert_true(message.sequence > offset);
            offset = message.sequence;
            assert_int_equal(sk_partition_of(hub->partitions, message.device), p);
        }
        struct sk_events_info info = info_of(p);
        assert_int_equal(info.last_number, (int64_t)number - 1);
        if (!info.empty) assert_int_equal(info.last_offset, offset);
        source->close(source);
    }
    return count;
}

static int start_fresh(void **state) {
    sent = stored = 0;
    start_world(state);
    options.fallback = true;
    return 0;
}

AROUND(start_fresh, end_world);

/* ---- numbers ---- */

TEST(an_empty_partition_says_so) {
    struct sk_events_info info = info_of(3);
    assert_true(info.empty);
    assert_int_equal(info.first_number, 0);
    assert_int_equal(info.last_number, -1);
    assert_int_equal(info.last_offset, 0);
    assert_int_equal(info_of(SK_ALL_PARTITIONS).partition_count, 4);
    assert_true(sk_span_is(told.entity, "test"));
}

TEST(a_devices_events_are_numbered_in_one_partition) {
    many(300);
    pass(SK_S);
    assert_int_equal(check_numbers(NULL), 300);
}

TEST(numbers_go_on_after_a_restart_and_after_retention) {
    uint64_t first[4];
    many(100);
    pass(SK_S);
    close_hub();
    open_hub();
    many(100);
    pass(SK_S);
    assert_int_equal(check_numbers(NULL), 200);
    struct sk_events_info before[4];
    for (unsigned p = 0; p < 4; p++) before[p] = info_of(p);
    close_hub();
    options.retention_us = 3600000000;
    open_hub();
    pass(3 * 3600 * SK_S);
    many(1); /* a new segment; the old ones go */
    pass(2 * 3600 * SK_S);
    close_hub();
    open_hub();
    many(200);
    pass(SK_S);
    for (unsigned p = 0; p < 4; p++) {
        struct sk_events_info info = info_of(p);
        if (before[p].last_number >= 0) assert_true(info.last_number > before[p].last_number);
        assert_true(info.first_number <= before[p].last_number + 2);
        first[p] = (uint64_t)info.first_number;
    }
    check_numbers(first);
}

TEST(numbers_have_no_gaps_over_power_losses) {
    for (int round = 0; round < 20; round++) {
        many((unsigned)(20 + sk_sim_chance(sim, 200)));
        pass(sk_sim_chance(sim, 8) * SK_S);
        many((unsigned)sk_sim_chance(sim, 50));
        sk_sim_power_cut(io, (enum sk_sim_loss)sk_sim_chance(sim, 3));
        sk_hub_close(hub, NULL, NULL);
        io = sk_sim_power_on(io);
        unsigned acknowledged = stored;
        open_hub();
        unsigned count = check_numbers(NULL);
        assert_true(count >= acknowledged);
        assert_true(count <= sent);
        stored = count;
    }
}

TEST(partitions_may_become_more_but_not_fewer) {
    char reason[512];
    struct sk_hub *refused = NULL;
    many(100);
    pass(SK_S);
    close_hub();
    options.partitions = 3;
    assert_int_equal(sk_hub_open(io, &options, &refused, reason), SK_INVALID);
    assert_non_null(strstr(reason, "set partitions = 4"));
    pass(SK_S);
    options.partitions = 5;
    open_hub();
    assert_int_equal(info_of(SK_ALL_PARTITIONS).partition_count, 5);
    assert_int_equal(info_of(4).last_number, -1);
}

/* ---- where readers begin ---- */

static int64_t first_number(unsigned partition, enum sk_events_from from, int64_t value,
                            bool inclusive) {
    struct sk_event_source *source = reader(partition, from, value, inclusive);
    struct sk_message message;
    int64_t number = -1;
    if (source->next(source, &message) == SK_OK) number = (int64_t)sk_event_number(&message);
    source->close(source);
    return number;
}

TEST(a_reader_begins_at_any_number_offset_or_time) {
    for (int i = 0; i < 20; i++) {
        many(50);
        pass(SK_S);
    }
    for (unsigned p = 0; p < 4; p++) {
        struct sk_message message;
        int64_t last = info_of(p).last_number, number;
        if (last < 0) continue; /* eight devices need not fill four partitions */
        assert_true(last > 50);
        struct sk_event_source *source = reader(p, SK_EVENTS_OLDEST, 0, false);
        for (number = 0; source->next(source, &message) == SK_OK; number++) {
            int64_t offset = (int64_t)message.sequence, after = number == last ? -1 : number + 1;
            assert_int_equal(first_number(p, SK_EVENTS_NUMBER, number, true), number);
            assert_int_equal(first_number(p, SK_EVENTS_NUMBER, number, false), after);
            assert_int_equal(first_number(p, SK_EVENTS_OFFSET, offset, true), number);
            assert_int_equal(first_number(p, SK_EVENTS_OFFSET, offset, false), after);
            int64_t found = first_number(p, SK_EVENTS_TIME, message.enqueued_us, true);
            assert_in_range(found, 0, number);
        }
        source->close(source);
        assert_int_equal(first_number(p, SK_EVENTS_LATEST, 0, false), -1);
        assert_int_equal(first_number(p, SK_EVENTS_NUMBER, last + 1, true), -1);
        assert_int_equal(first_number(p, SK_EVENTS_OFFSET, INT64_MAX - 1, true), -1);
    }
}

TEST(a_rare_partitions_numbers_are_found_too) {
    unsigned busy = sk_partition_of(hub->partitions, SK_SPAN("d1")), rare = 4;
    const char *other = NULL;
    static const char *const devices[] = {"d2", "d3", "d4", "d5", "d6"};
    for (size_t i = 0; i < 5 && rare == 4; i++) {
        other = devices[i];
        if (sk_partition_of(hub->partitions, sk_span_z(other)) != busy)
            rare = sk_partition_of(hub->partitions, sk_span_z(other));
    }
    assert_true(rare < 4);
    for (int i = 0; i < 3; i++) {
        telemetry(other);
        for (int j = 0; j < 10000; j++) {
            telemetry("d1");
            if (j % 100 == 0) pass(10 * SK_MS);
        }
    }
    telemetry(other);
    pass(SK_S);
    for (int64_t number = 0; number < 4; number++)
        assert_int_equal(first_number(rare, SK_EVENTS_NUMBER, number, true), number);
    assert_int_equal(info_of(rare).first_number, 0);
    assert_int_equal(info_of(rare).last_number, 3);
}

/* ---- who may read beside whom ---- */

static struct sk_event_source *receivers[8];
static char evicted[8][384];

static void on_evicted(void *arg, const struct sk_error *error) {
    size_t i = (size_t)(uintptr_t)arg;
    snprintf(evicted[i], sizeof evicted[i], "%s", sk_error_text(error));
    receivers[i]->close(receivers[i]);
    receivers[i] = NULL;
}

static enum sk_fault receive_as(size_t i, const char *group, unsigned partition, int64_t epoch) {
    char receiver[8];
    snprintf(receiver, sizeof receiver, "r%zu", i);
    struct sk_events_ask asked = {.group = sk_span_z(group),
                                  .partition = partition,
                                  .receiver = sk_span_z(receiver),
                                  .exclusive = epoch >= 0,
                                  .epoch = epoch};
    enum sk_fault fault = submit(SK_OP_EVENTS_WATCH, &asked);
    receivers[i] = opened;
    evicted[i][0] = 0;
    if (fault) return fault;
    receivers[i]->evicted = on_evicted;
    receivers[i]->arg = (void *)(uintptr_t)i;
    return SK_FAULT_NONE;
}

static void close_receivers(void) {
    for (size_t i = 0; i < 8; i++)
        if (receivers[i]) receivers[i]->close(receivers[i]);
    memset(receivers, 0, sizeof receivers);
}

TEST(five_plain_receivers_read_a_partition_and_not_six) {
    for (size_t i = 0; i < 5; i++) assert_int_equal(receive_as(i, "$Default", 1, -1), 0);
    assert_int_equal(receive_as(5, "$default", 1, -1), SK_FAULT_TOO_MANY_RECEIVERS);
    assert_non_null(strstr(sk_error_text(&refusal), "which is 5. List of connected receivers - r0, "
                                                    "r1, r2, r3, r4"));
    assert_int_equal(receive_as(5, "$Default", 2, -1), 0); /* elsewhere it may */
    receivers[0]->close(receivers[0]);
    receivers[0] = NULL;
    assert_int_equal(receive_as(6, "$Default", 1, -1), 0);
    close_receivers();
}

TEST(an_epoch_displaces_all_others_and_yields_to_its_equal) {
    assert_int_equal(receive_as(0, "$Default", 1, -1), 0);
    assert_int_equal(receive_as(1, "$Default", 1, -1), 0);
    assert_int_equal(receive_as(2, "$Default", 0, -1), 0);
    assert_int_equal(receive_as(3, "$Default", 1, 7), 0);
    assert_non_null(strstr(evicted[0], "'r3' with higher epoch of '7'"));
    assert_non_null(strstr(evicted[1], "current receiver 'r1'"));
    assert_non_null(receivers[2]);
    assert_int_equal(receive_as(4, "$Default", 1, 6), SK_FAULT_RECEIVER_DISPLACED);
    assert_int_equal(receive_as(4, "$Default", 1, -1), SK_FAULT_RECEIVER_DISPLACED);
    assert_non_null(receivers[3]);
    assert_int_equal(receive_as(5, "$Default", 1, 7), 0);
    assert_null(receivers[3]);
    assert_int_equal(receive_as(6, "$Default", 1, 8), 0);
    assert_null(receivers[5]);
    close_receivers();
    assert_int_equal(receive_as(7, "$Default", 1, 0), 0); /* nobody is there any more */
    close_receivers();
}

TEST(unknown_places_are_refused) {
    struct sk_events_ask asked = {.entity = SK_SPAN("TEST"), .group = SK_SPAN("$Default")};
    assert_int_equal(submit(SK_OP_EVENTS_WATCH, &asked), SK_FAULT_NONE);
    opened->close(opened);
    asked.entity = SK_SPAN("other");
    assert_int_equal(submit(SK_OP_EVENTS_WATCH, &asked), SK_FAULT_ADDRESS_NOT_FOUND);
    assert_int_equal(submit(SK_OP_EVENTS_INFO, &asked), SK_FAULT_ADDRESS_NOT_FOUND);
    asked.entity = SK_SPAN("messages/events");
    asked.group = SK_SPAN("nobody");
    assert_int_equal(submit(SK_OP_EVENTS_WATCH, &asked), SK_FAULT_ADDRESS_NOT_FOUND);
    asked.group = SK_NONE;
    asked.partition = 3;
    assert_int_equal(submit(SK_OP_EVENTS_INFO, &asked), SK_FAULT_NONE);
    asked.partition = 4;
    assert_int_equal(submit(SK_OP_EVENTS_INFO, &asked), SK_FAULT_PARTITION_OUT_OF_RANGE);
    assert_int_equal(submit(SK_OP_EVENTS_WATCH, &asked), SK_FAULT_PARTITION_OUT_OF_RANGE);
}

TEST(only_a_hub_that_says_so_takes_events_from_services) {
    struct sk_message message = {.body = SK_SPAN("x")};
    struct sk_events_ask asked = {.partition = 2};
    struct sk_request request = {.op = SK_OP_EVENTS_SEND, .ask = &asked, .message = &message};
    assert_int_equal(ask(request), SK_FAULT_INVALID_OPERATION);
    options.take_events = true;
    assert_int_equal(ask(request), SK_FAULT_NONE);
    assert_int_equal(info_of(2).last_number, 0);
    message.system[SK_SYS_PARTITION_KEY] = SK_SPAN("key");
    asked.partition = SK_ALL_PARTITIONS;
    assert_int_equal(ask(request), SK_FAULT_NONE);
    struct sk_event_source *source =
        reader(sk_partition_of(hub->partitions, SK_SPAN("key")), SK_EVENTS_OLDEST, 0, false);
    struct sk_message read;
    enum sk_status status;
    while ((status = source->next(source, &read)) == SK_OK)
        if (read.system[SK_SYS_PARTITION_KEY].n) break;
    assert_int_equal(status, SK_OK);
    assert_true(sk_span_is(read.system[SK_SYS_PARTITION_KEY], "key"));
    source->close(source);
}
