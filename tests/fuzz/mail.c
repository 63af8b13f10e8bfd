/* Any answer of a mail server is read in lines of which each is used up. Any subject and text: a
 * mail whose headers are those that it shall have, in printable lines. */
#include <stdlib.h>

#include "wire/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) abort();
}

static void read_replies(struct sk_span in) {
    struct sk_mail_reply reply;
    size_t used;
    while (sk_mail_reply_read(in, &reply, &used) == SK_OK) {
        must(used > 0 && used <= in.n && reply.code < 1000 && reply.text.n < used);
        in = sk_span_skip(in, used);
    }
}

static void read_mail(struct sk_span mail) {
    static const char *const names[] = {"Date: ",
                                        "From: ",
                                        "To: ",
                                        "Subject:",
                                        "Message-ID: ",
                                        "Auto-Submitted: ",
                                        "MIME-Version: ",
                                        "Content-Type: ",
                                        "Content-Transfer-Encoding: ",
                                        ""};
    size_t next = 0;
    bool body = false;
    while (mail.n) {
        size_t end = sk_span_find(mail, '\n');
        struct sk_span line = sk_span_first(mail, end);
        must(end < mail.n && end > 0 && line.p[end - 1] == '\r' && end <= 999);
        line.n--;
        for (size_t i = 0; i < line.n; i++) must(line.p[i] >= ' ' && line.p[i] < 0x7f);
        if (body) {
            must(line.n > 0 && line.n <= 76 && sk_span_only(line, "+/="));
        } else if (!sk_span_starts(line, SK_SPAN(" "))) {
            must(sk_span_starts(line, sk_span_z(names[next++])));
            body = line.n == 0;
            must(body == (next == sizeof names / sizeof *names));
        }
        mail = sk_span_skip(mail, end + 1);
    }
    must(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const to[] = {"b@x.example"};
    struct sk_span in = sk_span(data, size);
    struct sk_buffer mail = {0};
    read_replies(in);
    sk_mail_put(&mail, &(struct sk_mail){.from = SK_SPAN("a@x.example"),
                                         .to = to,
                                         .to_count = 1,
                                         .subject = sk_span_first(in, size / 2),
                                         .text = sk_span_skip(in, size / 2),
                                         .id = SK_SPAN("1")});
    read_mail(sk_buffer_span(&mail));
    sk_buffer_free(&mail);
    return 0;
}
