/* What a hub that is not root may write into a hub.toml that is. */
#include "hub/server/server.h"
#include "support/test.h"

#define LISTEN "[listen]\nkey = \"server.key\"\n"
#define HUB "[[hub]]\nname = \"h\"\ndata = \"data\"\n"
#define POLICY "[[hub.policy]]\nname = \"p\"\n"
#define FILES "[hub.files]\nca_file = \"a.pem\"\nsas_ttl = \"1h\"\n"
#define FOLDER "[[hub.endpoint]]\nname = \"f\"\ntype = \"folder\"\nto = \"/srv/f\"\n"
#define TEXT LISTEN HUB POLICY FILES FOLDER

static bool may(const char *after) {
    return sk_hub_may_become(SK_SPAN(TEXT), sk_span_z(after));
}

TEST(who_uses_a_hub_and_where_routes_lead_may_change) {
    assert_true(may(TEXT));
    assert_true(may("# a word\n" LISTEN HUB FILES FOLDER));
    assert_true(may(LISTEN HUB POLICY FILES "[[hub.route]]\nname = \"r\"\n"));
    assert_true(may(LISTEN HUB "consumer_groups = [\"x\"]\ntags = { a = \"b\" }\n" POLICY FILES
                               "[[hub.endpoint]]\nname = \"w\"\ntype = \"webhook\"\n" FOLDER));
    assert_true(may(LISTEN HUB "[hub.files]\nca_file = \"a.pem\"\nsas_ttl = \"2h\"\n"));
}

TEST(what_leads_to_the_machine_may_not) {
    static const char *const texts[] = {
        HUB POLICY FILES FOLDER,
        "[listen]\nkey = \"/etc/shadow\"\n" HUB FILES FOLDER,
        "more = 1\n" TEXT,
        TEXT "[[hub]]\nname = \"h2\"\n",
        LISTEN "[[hub]]\nname = \"h\"\ndata = \"/etc\"\n" FILES FOLDER,
        LISTEN "[[hub]]\nname = \"h\"\n" FILES FOLDER,
        LISTEN HUB "[hub.files]\nca_file = \"/etc/shadow\"\n",
        LISTEN HUB "[hub.files]\nsas_ttl = \"1h\"\n",
        TEXT "[[hub.ca]]\nfile = \"/etc/shadow\"\n",
        TEXT "[hub.records]\nfolder = \"/etc\"\n",
        LISTEN HUB FILES "[[hub.endpoint]]\nname = \"f\"\ntype = \"folder\"\nto = \"/etc\"\n",
        LISTEN HUB FILES "[[hub.endpoint]]\nname = \"f\"\ntype = \"FOLDER\"\nto = \"/etc\"\n",
        LISTEN HUB FILES
        "[[hub.endpoint]]\nname = \"w\"\ntype = \"webhook\"\nca = \"/etc/shadow\"\n",
        LISTEN HUB FILES "[[hub.endpoint]]\nname = \"w\"\nto = \"/etc\"\n",
        "[listen",
        "",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (may(texts[i])) fail_msg("it may become\n%s", texts[i]);
    assert_false(sk_hub_may_become(SK_SPAN("[listen"), SK_SPAN(TEXT)));
}
