#include "edge/agent/engine/image.h"
#include "support/test.h"

TEST(names_of_images_are_read_and_completed) {
    static const struct {
        const char *text, *asked, *host;
    } cases[] = {
        {"x", "x:latest", ""},
        {"library/x:1", "library/x:1", ""},
        {"reg.example/x", "reg.example/x:latest", "reg.example"},
        {"localhost/x:1", "localhost/x:1", "localhost"},
        {"127.0.0.1:5000/a/b:T.1_x-y", "127.0.0.1:5000/a/b:T.1_x-y", "127.0.0.1:5000"},
        {"reg:5000/x", "reg:5000/x:latest", "reg:5000"},
        {"x@sha256:00ff", "x@sha256:00ff", ""},
        {"reg.example/x:1@sha256:00ff", "reg.example/x:1@sha256:00ff", "reg.example"},
        {"$upstream:443/a/b:1", "parent.example:443/a/b:1", "$upstream:443"},
        {"$upstream/b", "parent.example/b:latest", "$upstream"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_image_name name;
        struct sk_buffer asked = {0};
        if (sk_image_name_parse(sk_span_z(cases[i].text), &name)) fail_msg("%s", cases[i].text);
        assert_int_equal(sk_image_name_put(&asked, &name, "parent.example"), SK_OK);
        if (!sk_span_is(sk_buffer_span(&asked), cases[i].asked))
            fail_msg("%s is asked for as %.*s", cases[i].text, SK_ARG(sk_buffer_span(&asked)));
        assert_true(sk_span_is(name.host, cases[i].host));
        sk_buffer_free(&asked);
    }
}

TEST(what_is_no_name_of_an_image_is_refused) {
    static const char *const texts[] = {"",
                                        " ",
                                        "X",
                                        "a b",
                                        "a//b",
                                        "/a",
                                        "a/",
                                        ":1",
                                        "a:",
                                        "a:.x",
                                        "a:b c",
                                        "a@",
                                        "a@sha256",
                                        "a@sha256:",
                                        "a@:00",
                                        "reg.example:port/x",
                                        "reg_x.example/y",
                                        "$upstream:x/y",
                                        "$upstreamer:1/y",
                                        "$upstream",
                                        "a/../b",
                                        "a?b=c",
                                        "a#b",
                                        "a\nb",
                                        "-a",
                                        "reg.example/-a",
                                        "http://reg.example/x"};
    struct sk_image_name name;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (sk_image_name_parse(sk_span_z(texts[i]), &name) == SK_OK)
            fail_msg("'%s' passed", texts[i]);
    char longest[SK_IMAGE_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(sk_image_name_parse(sk_span(longest, SK_IMAGE_NAME_MAX), &name), SK_OK);
    assert_int_equal(sk_image_name_parse(sk_span(longest, SK_IMAGE_NAME_MAX + 1), &name),
                     SK_MALFORMED);
}

TEST(the_parents_registry_needs_a_parent) {
    struct sk_image_name name;
    struct sk_buffer asked = {0};
    assert_int_equal(sk_image_name_parse(SK_SPAN("$upstream:443/x"), &name), SK_OK);
    assert_int_equal(sk_image_name_put(&asked, &name, NULL), SK_NOT_FOUND);
    sk_buffer_free(&asked);
}

TEST(credentials_are_matched_by_host) {
    static const struct {
        const char *image, *address;
        bool match;
    } cases[] = {
        {"reg.example/x", "reg.example", true},
        {"reg.example/x", "REG.example", true},
        {"reg.example/x", "https://reg.example/v2/", true},
        {"reg.example/x", "reg.example.com", false},
        {"reg.example:5000/x", "reg.example:5000", true},
        {"reg.example:5000/x", "reg.example", false},
        {"$upstream:443/x", "$upstream:443", true},
        {"x", "docker.io", true},
        {"library/x", "https://index.docker.io/v1/", true},
        {"docker.io/library/x", "docker.io", true},
        {"reg.example/x", "docker.io", false},
        {"x", "", false},
        {"x", "reg.example", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_image_name name;
        assert_int_equal(sk_image_name_parse(sk_span_z(cases[i].image), &name), SK_OK);
        if (sk_image_is_at(&name, sk_span_z(cases[i].address)) != cases[i].match)
            fail_msg("%s, %s", cases[i].image, cases[i].address);
    }
}
