#include "support/numbers.h"

#include "support/test.h"

struct numbers numbers;

static void on_sent(void *arg, enum sk_status status) {
    (void)arg;
    numbers.acknowledged += status == SK_OK;
}

struct sk_device_client *numbers_begin(struct fleet *f) {
    static const struct sk_device_events quiet = {0};
    memset(&numbers, 0, sizeof numbers);
    return fleet_client(f, "hub.test", "d1", NULL, 0, &quiet, NULL);
}

void numbers_send(struct fleet *f, struct sk_device_client *client, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"n\":%u}", numbers.next++);
        struct sk_message message = {.body = sk_span_z(body)};
        message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
        message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
        assert_int_equal(sk_device_client_send(client, &message, on_sent, f), SK_OK);
    }
}

bool numbers_acknowledged(void *arg) {
    (void)arg;
    return numbers.acknowledged == numbers.next;
}

void numbers_send_all(struct fleet *f, struct sk_device_client *client, unsigned count) {
    numbers_send(f, client, count);
    assert_true(sk_sim_run_until(f->sim, 600 * SK_S, numbers_acknowledged, NULL));
}

void numbers_saw(unsigned number) {
    assert_true(numbers.seen_count < NUMBERS_MAX);
    numbers.seen[numbers.seen_count++] = number;
}

void numbers_came_in_order(unsigned count) {
    unsigned next = 0;
    for (size_t i = 0; i < numbers.seen_count; i++) {
        if (numbers.seen[i] > next) fail_msg("%u came before %u", numbers.seen[i], next);
        if (numbers.seen[i] == next) next++;
    }
    if (next != count) fail_msg("%u of %u came", next, count);
}
