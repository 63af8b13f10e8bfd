/* What services do over AMQP: cloud-to-device messages and their feedback. Reference:
 * docs/protocols/service-api.md, section 6. */
#include "gateway/amqp/head.h"

/* ---- sending to devices ---- */

static void c2d_opened(struct sk_amqp_end *end) {
    sk_amqp_attach(end->amqp, SK_AMQP_HEAD_CREDIT);
}

static void c2d(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                struct sk_span payload) {
    struct sk_arena *scratch = &end->head->connection.gateway->scratch;
    struct sk_amqp_message m;
    struct sk_message message;
    struct sk_address to;
    if (sk_amqp_decode(payload, scratch, &m)) {
        sk_amqp_reject(end, delivery, SK_FAULT_ARGUMENT_INVALID, "not an AMQP message");
        return;
    }
    sk_address_parse(m.to, scratch, &to);
    if (to.kind != SK_ADDRESS_C2D) {
        sk_amqp_reject(end, delivery, SK_FAULT_ARGUMENT_INVALID,
                       "the message's to is not /devices/{id}/messages/devicebound");
        return;
    }
    if (sk_message_from_amqp(&m, scratch, &message)) {
        sk_amqp_reject(end, delivery, SK_FAULT_MESSAGE_TOO_LARGE, NULL);
        return;
    }
    struct sk_amqp_incoming *incoming = sk_amqp_incoming_new(end, delivery);
    struct sk_amqp_request *r = sk_amqp_request_new(end, SK_OP_C2D_SEND, incoming);
    r->device = sk_span_dup(to.device); /* the answer comes when the scratch arena is another's */
    message.device = r->request.device = sk_span_z(r->device);
    message.module = r->request.module = to.module; /* refused at once when there is one */
    r->request.message = &message;
    sk_gateway_submit(end->head->backend, &r->request);
    sk_amqp_incoming_settle(incoming);
}

const struct sk_amqp_role sk_amqp_service_c2d = {.kind = SK_ADDRESS_SERVICE_C2D,
                                                 .sends = false,
                                                 .resource = "messages/devicebound",
                                                 .opened = c2d_opened,
                                                 .transfer = c2d};

/* ---- feedback, and notifications of files ---- */

static void outbox_writable(struct sk_amqp_end *end) {
    struct sk_outbox_source *source = end->data;
    struct sk_message message;
    uint64_t delivery;
    while (source && sk_amqp_end_writable(end) &&
           source->next(source, &message, &delivery) == SK_OK) {
        struct sk_arena arena = {0};
        struct sk_amqp_message out;
        unsigned char tag[16];
        bool settled = sk_amqp_link_presettled(end->amqp);
        sk_message_to_amqp(&message, &arena, &out);
        bool guid = message.c2d && sk_lock_token_tag(message.c2d->lock_token, tag) == SK_OK;
        sk_amqp_end_send(end, guid ? sk_span(tag, sizeof tag) : SK_NONE, &out,
                         settled ? 0 : delivery);
        sk_arena_free(&arena);
        if (settled) source->settle(source, delivery, SK_COMPLETE, NULL, NULL);
    }
}

static void outbox_readable(void *arg) {
    outbox_writable(arg);
}

static void on_outbox(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_amqp_request *r = (struct sk_amqp_request *)request;
    struct sk_amqp_end *end = r->end;
    if (answer->error) {
        sk_amqp_end_refuse(end, answer->error);
    } else if (end->amqp == NULL) {
        answer->outbox->close(answer->outbox);
    } else {
        end->data = answer->outbox;
        answer->outbox->readable = outbox_readable;
        answer->outbox->arg = end;
        sk_amqp_attach(end->amqp, 0);
        sk_amqp_head_flush(end->head);
    }
    sk_amqp_request_over(r, NULL);
}

static void outbox_opened(struct sk_amqp_end *end) {
    struct sk_amqp_request *r = sk_amqp_request_new(
        end,
        end->role == &sk_amqp_feedback ? SK_OP_FEEDBACK_SUBSCRIBE : SK_OP_FILE_NOTICE_SUBSCRIBE,
        NULL);
    r->request.done = on_outbox;
    sk_gateway_submit(end->head->backend, &r->request);
}

static void outbox_outcome(struct sk_amqp_end *end, struct sk_amqp_sent *sent,
                           enum sk_amqp_outcome outcome) {
    struct sk_outbox_source *source = end->data;
    source->settle(source, sent->delivery, sk_amqp_verdict(outcome), NULL, NULL);
}

static void outbox_gone(struct sk_amqp_end *end) {
    struct sk_outbox_source *source = end->data;
    if (source) source->close(source); /* what was not settled goes to the next receiver */
    end->data = NULL;
}

const struct sk_amqp_role sk_amqp_feedback = {.kind = SK_ADDRESS_FEEDBACK,
                                              .sends = true,
                                              .resource = "messages/servicebound/feedback",
                                              .opened = outbox_opened,
                                              .writable = outbox_writable,
                                              .outcome = outbox_outcome,
                                              .gone = outbox_gone};
const struct sk_amqp_role sk_amqp_file_notices = {.kind = SK_ADDRESS_FILES,
                                                  .sends = true,
                                                  .resource =
                                                      "messages/servicebound/filenotifications",
                                                  .opened = outbox_opened,
                                                  .writable = outbox_writable,
                                                  .outcome = outbox_outcome,
                                                  .gone = outbox_gone};
