/* PostgreSQL's messages, and its way of logging in. */
#include "wire/postgres.h"
#include "support/test.h"

/* RFC 7677's example, for the empty name that PostgreSQL's clients give. */
#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define BOTH NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FIRST "r=" BOTH ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i="

static enum sk_status final_of(const char *server_first, struct sk_scram *scram,
                               struct sk_buffer *to) {
    *scram = (struct sk_scram){.nonce = NONCE};
    to->n = 0;
    return sk_scram_put_final(scram, sk_span_z(server_first), "pencil", to);
}

TEST(both_prove_that_they_know_the_password) {
    struct sk_scram scram;
    struct sk_buffer text = {0};
    assert_int_equal(final_of(FIRST "4096", &scram, &text), SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&text),
                           "c=biws,r=" BOTH ",p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k="));
    assert_true(sk_scram_fits(&scram, SK_SPAN("v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=")));
    assert_false(sk_scram_fits(&scram, SK_SPAN("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
    assert_false(sk_scram_fits(&scram, SK_SPAN("v=")));
    assert_false(sk_scram_fits(&scram, SK_NONE));
    sk_buffer_free(&text);
}

TEST(a_server_that_says_nonsense_gets_no_proof) {
    static const char *const wrong[] = {"",
                                        "r=" BOTH,
                                        FIRST "0",
                                        FIRST "-1",
                                        FIRST "x",
                                        "r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                                        "r=" BOTH ",s=!,i=4096"};
    struct sk_scram scram;
    struct sk_buffer text = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(final_of(wrong[i], &scram, &text), SK_MALFORMED);
        assert_int_equal(text.n, 0);
    }
    assert_int_equal(final_of(FIRST "100000", &scram, &text), SK_OK);
    assert_int_equal(final_of(FIRST "100001", &scram, &text), SK_TOO_LARGE);
    sk_buffer_free(&text);
}

TEST(a_message_has_a_type_and_a_length) {
    struct sk_postgres_message message;
    size_t used;
    struct sk_span in = SK_SPAN("Z\0\0\0\5I"
                                "R\0\0\0\3");
    assert_int_equal(sk_postgres_read(in, &message, &used), SK_OK);
    assert_true(message.type == 'Z' && sk_span_is(message.body, "I") && used == 6);
    assert_int_equal(sk_postgres_read(sk_span_first(in, 5), &message, &used), SK_AGAIN);
    assert_int_equal(sk_postgres_read(sk_span_skip(in, 6), &message, &used), SK_MALFORMED);
    assert_int_equal(sk_postgres_read(SK_SPAN("E\0\1\0\0"), &message, &used), SK_AGAIN);
    assert_int_equal(sk_postgres_read(SK_SPAN("E\0\1\0\1"), &message, &used), SK_MALFORMED);
}

TEST(an_error_has_a_code_and_a_text) {
    struct sk_postgres_error error;
    sk_postgres_error_read(SK_SPAN("SERROR\0C22P02\0Minvalid input\0\0"), &error);
    assert_true(sk_span_is(error.code, "22P02") && sk_span_is(error.text, "invalid input"));
    sk_postgres_error_read(SK_SPAN("C22P0"), &error); /* cut short */
    assert_true(sk_span_is(error.code, "22P0") && error.text.n == 0);
    sk_postgres_error_read(SK_NONE, &error);
    assert_int_equal(error.code.n, 0);
}

TEST(a_statement_is_parsed_bound_and_run_at_once) {
    static const char expected[] = "P\0\0\0\14\0S $1\0\0\0"
                                   "B\0\0\0\25\0\0\0\0\0\2\0\0\0\1a\377\377\377\377\0\0"
                                   "E\0\0\0\11\0\0\0\0\0S\0\0\0\4";
    const struct sk_span parameters[] = {SK_SPAN("a"), SK_NONE};
    struct sk_buffer out = {0};
    sk_postgres_put_statement(&out, "S $1", parameters, 2);
    assert_int_equal(out.n, sizeof expected - 1);
    assert_memory_equal(out.p, expected, out.n);
    sk_buffer_free(&out);
}
