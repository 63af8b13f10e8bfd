#include "support/fleet_c2d.h"

static void fleet_c2d_done(struct sk_request *request, const struct sk_answer *answer) {
    struct fleet_c2d *sent = (struct fleet_c2d *)request;
    sent->done = true;
    sent->fault = answer->error ? answer->error->fault : SK_FAULT_NONE;
}

static bool fleet_c2d_is_done(void *arg) {
    return ((struct fleet_c2d *)arg)->done;
}

void fleet_submit_c2d(struct fleet *f, struct fleet_c2d *sent, const char *device,
                      const struct sk_message *message) {
    struct sk_backend *backend = sk_hub_backend(sk_hub_server_hub(f->hub, 0));
    *sent = (struct fleet_c2d){.request = {.op = SK_OP_C2D_SEND,
                                           .device = sk_span_z(device),
                                           .message = message,
                                           .done = fleet_c2d_done}};
    backend->ops->submit(backend, &sent->request);
}

enum sk_fault fleet_send_message(struct fleet *f, const char *device,
                                 const struct sk_message *message) {
    struct fleet_c2d sent;
    fleet_submit_c2d(f, &sent, device, message);
    assert_true(sk_sim_run_until(f->sim, 60 * SK_S, fleet_c2d_is_done, &sent));
    return sent.fault;
}

void fleet_send_c2d(struct fleet *f, const char *device, const char *id) {
    struct sk_message message = {.body = sk_span_z(id)};
    message.system[SK_SYS_MESSAGE_ID] = sk_span_z(id);
    message.system[SK_SYS_ACK] = SK_SPAN("full");
    assert_int_equal(fleet_send_message(f, device, &message), SK_FAULT_NONE);
}
