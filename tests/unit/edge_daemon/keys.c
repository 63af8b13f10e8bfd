#include <stdio.h>

#include "edge/daemon/keys.h"
#include "io/sim/sim.h"
#include "trust/sas.h"
#include "support/test.h"

static struct sk_sim *sim;
static struct sk_io *io;
static struct sk_key_store *store;
static struct sk_keys *keys;
static char reason[256];
#define MODULE SK_SPAN("filter"), SK_SPAN("636463636967581550")

static int start(void **state) {
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    io = sk_sim_node(sim, "edge");
    struct sk_key_store_options options = {.folder = "/data/keys"};
    assert_int_equal(sk_key_store_open(io, &options, &store, reason), SK_OK);
    return sk_keys_open(io, store, "/data/keys", &keys, reason);
}

/* A daemon of its own in a folder of its own. */
static enum sk_status open_in(const char *folder, struct sk_key_store **its_store,
                              struct sk_keys **its_keys) {
    struct sk_key_store_options options = {.folder = folder};
    assert_int_equal(sk_key_store_open(io, &options, its_store, reason), SK_OK);
    return sk_keys_open(io, *its_store, folder, its_keys, reason);
}

static int end(void **state) {
    (void)state;
    if (keys) sk_keys_free(keys);
    sk_key_store_close(store);
    sk_sim_free(sim);
    return 0;
}

AROUND(start, end);

TEST(module_keys_are_the_same_after_a_restart) {
    char before[SK_KEY_TEXT], after[SK_KEY_TEXT];
    assert_int_equal(sk_keys_module(keys, MODULE, false, before, reason), SK_OK);
    sk_keys_free(keys);
    assert_int_equal(sk_keys_open(io, store, "/data/keys", &keys, reason), SK_OK);
    assert_int_equal(sk_keys_module(keys, MODULE, false, after, reason), SK_OK);
    assert_string_equal(before, after);
    assert_int_equal(strlen(after), 44);
}

TEST(each_module_generation_and_slot_has_its_own_key) {
    char text[4][SK_KEY_TEXT];
    assert_int_equal(sk_keys_module(keys, MODULE, false, text[0], reason), SK_OK);
    assert_int_equal(sk_keys_module(keys, MODULE, true, text[1], reason), SK_OK);
    assert_int_equal(sk_keys_module(keys, SK_SPAN("filter"), SK_SPAN("2"), false, text[2], reason),
                     SK_OK);
    assert_int_equal(sk_keys_module(keys, SK_SPAN("other"), SK_SPAN("636463636967581550"), false,
                                    text[3], reason),
                     SK_OK);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++) assert_string_not_equal(text[i], text[j]);
}

TEST(a_signature_is_hmac_sha256_with_the_key_the_hub_knows) {
    char key[SK_KEY_TEXT];
    uint8_t signature[32], expected[32];
    assert_int_equal(sk_keys_module(keys, MODULE, false, key, reason), SK_OK);
    assert_int_equal(sk_keys_sign(keys, MODULE, SK_SPAN("hub%2fdevices\n17"), signature, reason),
                     SK_OK);
    assert_int_equal(sk_sas_hmac(sk_span_z(key), SK_SPAN("hub%2fdevices\n17"), expected), SK_OK);
    assert_memory_equal(signature, expected, 32);
}

TEST(what_was_encrypted_comes_back_only_to_its_module) {
    struct sk_buffer secret = {0}, plain = {0};
    assert_int_equal(sk_keys_encrypt(keys, MODULE, SK_SPAN("iv"), SK_SPAN("hello"), &secret),
                     SK_OK);
    assert_int_equal(sk_keys_decrypt(keys, MODULE, SK_SPAN("iv"), sk_buffer_span(&secret), &plain),
                     SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&plain), "hello"));
    assert_int_equal(sk_keys_decrypt(keys, MODULE, SK_SPAN("vi"), sk_buffer_span(&secret), &plain),
                     SK_UNAUTHORIZED);
    assert_int_equal(sk_keys_decrypt(keys, SK_SPAN("other"), SK_SPAN("1"), SK_SPAN("iv"),
                                     sk_buffer_span(&secret), &plain),
                     SK_UNAUTHORIZED);
    for (size_t i = 0; i < secret.n; i++) {
        secret.p[i] ^= 1;
        assert_int_equal(
            sk_keys_decrypt(keys, MODULE, SK_SPAN("iv"), sk_buffer_span(&secret), &plain),
            SK_UNAUTHORIZED);
        secret.p[i] ^= 1;
        assert_int_equal(sk_keys_decrypt(keys, MODULE, SK_SPAN("iv"), sk_span(secret.p, i), &plain),
                         SK_UNAUTHORIZED);
    }
    assert_true(sk_span_is(sk_buffer_span(&plain), "hello"));
    sk_buffer_free(&secret);
    sk_buffer_free(&plain);
}

TEST(an_iv_has_1_to_64_bytes_and_nothing_can_be_encrypted_too) {
    char iv[65] = {0};
    struct sk_buffer secret = {0}, plain = {0};
    assert_int_equal(sk_keys_encrypt(keys, MODULE, SK_NONE, SK_SPAN("x"), &secret), SK_INVALID);
    assert_int_equal(sk_keys_encrypt(keys, MODULE, sk_span(iv, 65), SK_SPAN("x"), &secret),
                     SK_INVALID);
    assert_int_equal(sk_keys_encrypt(keys, MODULE, sk_span(iv, 64), SK_NONE, &secret), SK_OK);
    assert_int_equal(
        sk_keys_decrypt(keys, MODULE, sk_span(iv, 64), sk_buffer_span(&secret), &plain), SK_OK);
    assert_int_equal(plain.n, 0);
    sk_buffer_free(&secret);
    sk_buffer_free(&plain);
}

static void encrypts(struct sk_span module_id, const char *iv, const char *text,
                     struct sk_buffer *secret) {
    secret->n = 0;
    assert_int_equal(
        sk_keys_encrypt(keys, module_id, SK_SPAN("1"), sk_span_z(iv), sk_span_z(text), secret),
        SK_OK);
}

/* Two texts under one key stream differ where their ciphertexts differ: neither the same module's
 * second text with one vector nor another module's may be such. */
TEST(one_vector_for_two_texts_or_modules_gives_nothing_away) {
    static const char first[] = "attack at dawn, with all guns",
                      second[] = "attack at dusk, with all guns";
    struct sk_buffer a = {0}, b = {0}, again = {0};
    static const char *const modules[] = {"filter", "other"};
    for (size_t m = 0; m < 2; m++) {
        encrypts(SK_SPAN("filter"), "iv", first, &a);
        encrypts(sk_span_z(modules[m]), "iv", second, &b);
        size_t like_texts = 0;
        for (size_t i = 0; i < sizeof first - 1; i++)
            like_texts += (a.p[a.n - 1 - i] ^ b.p[b.n - 1 - i]) ==
                          (first[sizeof first - 2 - i] ^ second[sizeof second - 2 - i]);
        assert_true(like_texts < 5); /* by chance; one key stream gives all 29 */
    }
    encrypts(SK_SPAN("filter"), "iv", first, &again);
    assert_memory_equal(a.p, again.p, a.n);
    encrypts(SK_SPAN("filter"), "vi", first, &again);
    assert_memory_not_equal(a.p, again.p, a.n);
    sk_buffer_free(&a);
    sk_buffer_free(&b);
    sk_buffer_free(&again);
}

TEST(what_was_encrypted_before_there_were_keys_of_modules_is_read) {
    struct sk_keys *old;
    struct sk_key_store *its;
    struct sk_buffer secret = {0}, plain = {0};
    sk_folder_make(io, "/old", 0700);
    sk_file_save(io, "/old/master.key", SK_SPAN("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
                 0600);
    assert_int_equal(open_in("/old", &its, &old), SK_OK);
    assert_int_equal(
        sk_base64_decode(&secret, SK_SPAN("AXezLgXWdzB/l6o91iCmlxMu1KhVtAk5MT7EEOS848pG")), SK_OK);
    assert_int_equal(sk_keys_decrypt(old, MODULE, SK_SPAN("iv"), sk_buffer_span(&secret), &plain),
                     SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&plain), "kept from before"));
    assert_int_equal(sk_keys_decrypt(old, SK_SPAN("other"), SK_SPAN("1"), SK_SPAN("iv"),
                                     sk_buffer_span(&secret), &plain),
                     SK_UNAUTHORIZED);
    sk_keys_free(old);
    sk_key_store_close(its);
    sk_buffer_free(&secret);
    sk_buffer_free(&plain);
}

TEST(a_damaged_key_file_is_refused_and_left_alone) {
    struct sk_keys *other;
    struct sk_key_store *its;
    struct sk_buffer text = {0};
    assert_int_equal(sk_folder_make(io, "/bad", 0700), SK_OK);
    assert_int_equal(sk_file_save(io, "/bad/master.key", SK_SPAN("AAAA"), 0600), SK_OK);
    assert_int_equal(open_in("/bad", &its, &other), SK_MALFORMED);
    assert_non_null(strstr(reason, "/bad/master.key"));
    assert_int_equal(sk_file_load(io, "/bad/master.key", &text), SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&text), "AAAA"));
    sk_key_store_close(its);
    sk_buffer_free(&text);
}

TEST(a_master_key_that_has_gone_or_is_another_one_is_said_and_no_new_one_is_made) {
    struct sk_buffer text = {0};
    uint8_t signature[32];
    sk_file_load(io, "/data/keys/master.key", &text);
    sk_file_remove(io, "/data/keys/master.key");
    assert_int_equal(sk_keys_sign(keys, MODULE, SK_SPAN("x"), signature, reason), SK_NOT_FOUND);
    assert_non_null(strstr(reason, "/data/keys/master.key"));
    sk_keys_free(keys);
    keys = NULL;
    assert_int_equal(sk_keys_open(io, store, "/data/keys", &keys, reason), SK_IO);
    assert_non_null(strstr(reason, "not in the key store (files) any more"));
    sk_file_save(io, "/data/keys/master.key",
                 SK_SPAN("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), 0600);
    assert_int_equal(sk_keys_open(io, store, "/data/keys", &keys, reason), SK_IO);
    assert_non_null(strstr(reason, "another master key than before"));
    sk_file_save(io, "/data/keys/master.key", sk_buffer_span(&text), 0600);
    assert_int_equal(sk_keys_open(io, store, "/data/keys", &keys, reason), SK_OK);
    sk_buffer_free(&text);
}

TEST(a_module_that_has_signed_goes_on_while_its_key_store_is_away) {
    uint8_t before[32], after[32];
    assert_int_equal(sk_keys_sign(keys, MODULE, SK_SPAN("x"), before, reason), SK_OK);
    sk_file_remove(io, "/data/keys/master.key");
    assert_int_equal(sk_keys_sign(keys, MODULE, SK_SPAN("x"), after, reason), SK_OK);
    assert_memory_equal(before, after, 32);
}
