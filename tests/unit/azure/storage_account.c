/* Connection strings of storage accounts. */
#include "azure/storage_account.h"
#include "support/test.h"

#define KEY "AAAAAAAAAAAAAAAAAAAAAA=="

static void gives(const char *text, const char *name, const char *blobs) {
    struct sk_arena arena = {0};
    struct sk_storage_account account;
    char error[256] = "";
    enum sk_status status = sk_storage_account_parse(sk_span_z(text), &arena, &account, error);
    if (name == NULL) {
        assert_int_equal(status, SK_MALFORMED);
        assert_true(error[0] && strstr(error, KEY) == NULL);
    } else {
        if (status) fail_msg("%s: %s", text, error);
        assert_true(sk_span_is(account.name, name));
        assert_true(sk_span_is(account.key, KEY));
        assert_true(sk_span_is(account.blobs, blobs));
    }
    sk_arena_free(&arena);
}

TEST(an_account_is_at_azure_unless_its_endpoint_says_otherwise) {
    (void)state;
    gives("AccountName=a;AccountKey=" KEY, "a", "https://a.blob.core.windows.net");
    gives("DefaultEndpointsProtocol=http;AccountName=a;AccountKey=" KEY ";EndpointSuffix=x.test",
          "a", "http://a.blob.x.test");
    gives(" AccountName = a ; AccountKey = " KEY
          ";BlobEndpoint=https://h:10000/a/;QueueEndpoint=x;",
          "a", "https://h:10000/a");
}

TEST(what_is_no_account_is_refused_without_showing_its_key) {
    (void)state;
    gives("", NULL, NULL);
    gives("AccountName=a", NULL, NULL);
    gives("AccountKey=" KEY, NULL, NULL);
    gives("AccountName=a;AccountKey=%", NULL, NULL);
    gives("UseDevelopmentStorage=true", NULL, NULL);
    gives("AccountName=a;AccountKey=" KEY ";BlobEndpoint=file:///etc", NULL, NULL);
    gives("AccountName=a;AccountKey=" KEY ";BlobEndpoint=https://u@h/", NULL, NULL);
}
