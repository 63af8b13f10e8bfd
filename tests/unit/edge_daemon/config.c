#include "edge/daemon/config.h"
#include "config/toml.h"
#include "support/config_walk.h"
#include "support/test.h"

static struct sk_edge_config config;
static char error[SK_EDGE_CONFIG_ERROR_MAX];
static char warnings[2048];

static void collect(const char *sentence) {
    strncat(warnings, sentence, sizeof warnings - strlen(warnings) - 1);
}

static enum sk_status read_text(const char *text) {
    json_t *document, *lines;
    char reason[SK_TOML_ERROR_MAX];
    if (sk_toml_parse(sk_span_z(text), "config.toml", &document, &lines, reason))
        fail_msg("%s", reason);
    warnings[0] = error[0] = 0;
    enum sk_status status =
        sk_edge_config_read(document, lines, "config.toml", &config, collect, NULL, error);
    json_decref(document);
    json_decref(lines);
    return status;
}

#define HOST "hostname = \"gw\"\n"
#define MANUAL "[provisioning]\nsource = \"manual\"\n"
#define STRING                                                                                     \
    MANUAL "connection_string = \"HostName=hub.example;DeviceId=edge1;SharedAccessKey=MDEyMw==\"\n"

TEST(a_connection_string_is_all_that_is_needed) {
    assert_int_equal(read_text(HOST STRING), SK_OK);
    assert_string_equal(config.hostname, "gw");
    assert_string_equal(config.hub_host, "hub.example");
    assert_string_equal(config.upstream.host, "hub.example");
    assert_string_equal(config.device_id, "edge1");
    assert_string_equal(config.device_key, "MDEyMw==");
    assert_int_equal(config.edge_ca_days, 90);
    assert_string_equal(config.data, "/var/lib/skerry");
    assert_int_equal(config.upstream.mqtt_port, 8883);
    assert_int_equal(config.upstream.amqp_port, 5671);
    assert_int_equal(config.upstream.https_port, 443);
    assert_int_equal(config.listen_count, 3);
    assert_string_equal(warnings, "");
    sk_edge_config_free(&config);
}

TEST(azures_long_form_and_skerrys_keys_are_read) {
    assert_int_equal(
        read_text(
            HOST
            "parent_hostname = \"up\"\ntrust_bundle_cert = \"file:///etc/b.pem\"\nhomedir = "
            "\"/h\"\n" MANUAL
            "iothub_hostname = \"h\"\ndevice_id = \"d\"\n[provisioning.authentication]\nmethod = "
            "\"sas\"\n"
            "device_id_pk = { uri = \"file:///etc/key\" }\n"
            "[edge_ca]\ncert = \"file:///c.pem\"\npk = \"file:///k.pem\"\n"
            "[agent.env]\nA = \"x\"\nB = 3\nC = true\n"
            "[skerry]\nlisten = [\"127.0.0.3:8883\", \"[::1]:443\", \"127.0.0.4\"]\nhub_trust = "
            "\"/ca.pem\"\nhub_mqtt_port = 18883\nhub_amqp_port = 15671\nmetrics = "
            "\"127.0.0.1:9601\"\n"),
        SK_OK);
    assert_string_equal(config.upstream.host, "up");
    assert_string_equal(config.trust_bundle_file, "/etc/b.pem");
    assert_string_equal(config.device_key_file, "/etc/key");
    assert_null(config.device_key);
    assert_string_equal(config.edge_ca_key_file, "/k.pem");
    assert_string_equal(config.data, "/h");
    assert_string_equal(config.listen[1].host, "::1");
    assert_int_equal(config.listen[1].port, 443);
    static const uint16_t ports[] = {8883, 5671, 443}; /* of an address without one */
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(config.listen[2 + i].host, "127.0.0.4");
        assert_int_equal(config.listen[2 + i].port, ports[i]);
    }
    assert_int_equal(config.upstream.mqtt_port, 18883);
    assert_int_equal(config.upstream.amqp_port, 15671);
    assert_int_equal(config.metrics.port, 9601);
    assert_string_equal(json_string_value(json_object_get(config.agent_env, "B")), "3");
    assert_string_equal(json_string_value(json_object_get(config.agent_env, "C")), "true");
    sk_edge_config_free(&config);
}

TEST(a_certificate_stands_for_the_device_with_its_key_in_a_file_or_a_token) {
    assert_int_equal(read_text(HOST MANUAL
                               "iothub_hostname = \"h\"\ndevice_id = \"d\"\n"
                               "[provisioning.authentication]\nmethod = \"x509\"\n"
                               "identity_cert = \"file:///etc/id.pem\"\n"
                               "identity_pk = \"pkcs11:token=t;object=id?pin-value=1\"\n"
                               "[aziot_keys]\npkcs11_lib_path = \"/usr/lib/t.so\"\n"),
                     SK_OK);
    assert_string_equal(config.identity_certificate_file, "/etc/id.pem");
    assert_string_equal(config.identity_key_file, "pkcs11:token=t;object=id?pin-value=1");
    assert_string_equal(config.key_store.pkcs11_library, "/usr/lib/t.so");
    assert_int_equal(config.key_store.kind, SK_KEYS_IN_FILES);
    assert_null(config.device_key);
    sk_edge_config_free(&config);
}

TEST(certificates_may_be_issued_by_an_est_server_that_is_said_once) {
    assert_int_equal(read_text(HOST MANUAL
                               "iothub_hostname = \"h\"\ndevice_id = \"d\"\n"
                               "[provisioning.authentication]\nmethod = \"x509\"\n"
                               "identity_cert = { method = \"est\", common_name = \"d\" }\n"
                               "[edge_ca]\nmethod = \"est\"\nusername = \"ca\"\npassword = \"p\"\n"
                               "[edge_ca.auto_renew]\nthreshold = \"10d\"\nrotate_key = false\n"
                               "[cert_issuance.est]\ntrusted_certs = [\"file:///etc/est.pem\"]\n"
                               "[cert_issuance.est.auth]\n"
                               "bootstrap_identity_cert = \"file:///etc/boot.pem\"\n"
                               "bootstrap_identity_pk = \"file:///etc/boot.key\"\n"
                               "[cert_issuance.est.urls]\ndefault = \"https://est/x\"\n"),
                     SK_OK);
    assert_true(config.identity_issued);
    assert_int_equal(config.identity_own.source, SK_OWN_EST);
    assert_string_equal(config.identity_own.est.url, "https://est/x");
    assert_string_equal(config.identity_own.est.bootstrap_certificate, "/etc/boot.pem");
    assert_int_equal(config.identity_own.renewal.threshold.percent, 80);
    assert_int_equal(config.identity_own.renewal.retry.percent, 4);
    assert_true(config.identity_own.renewal.rotate_key);
    assert_string_equal(config.edge_ca_own.est.url, "https://est/x");
    assert_string_equal(config.edge_ca_own.est.username, "ca");
    assert_null(config.edge_ca_own.est.bootstrap_certificate); /* it has a way of its own */
    assert_int_equal(config.edge_ca_own.renewal.threshold.left_us, INT64_C(864000000000));
    assert_false(config.edge_ca_own.renewal.rotate_key);
    assert_int_equal(config.est_trust_count, 1);
    assert_string_equal(config.est_trust[0], "/etc/est.pem");
    sk_edge_config_free(&config);
}

TEST(additional_info_is_a_table_of_texts) {
    assert_int_equal(read_text("additional_info = { site = \"north\" }\n" HOST STRING), SK_OK);
    assert_string_equal(json_string_value(json_object_get(config.additional_info, "site")),
                        "north");
    sk_edge_config_free(&config);
    assert_int_equal(read_text("additional_info = { floor = 3 }\n" HOST STRING), SK_INVALID);
    assert_non_null(strstr(error, "additional_info: must be a file"));
}

TEST(the_key_store_is_files_unless_a_token_or_the_tpm_is_named) {
    assert_int_equal(read_text(HOST STRING), SK_OK);
    assert_int_equal(config.key_store.kind, SK_KEYS_IN_FILES);
    sk_edge_config_free(&config);
    assert_int_equal(read_text(HOST STRING "[aziot_keys]\npkcs11_lib_path = \"/usr/lib/t.so\"\n"
                                           "pkcs11_base_slot = \"pkcs11:slot-id=0?pin-value=1\"\n"),
                     SK_OK);
    assert_int_equal(config.key_store.kind, SK_KEYS_IN_PKCS11);
    sk_edge_config_free(&config);
    /* In a TPM the device's key may be there already. */
    assert_int_equal(read_text(HOST MANUAL "iothub_hostname = \"h\"\ndevice_id = \"d\"\n"
                                           "[tpm]\ntcti = \"device:/dev/tpmrm0\"\n"
                                           "[skerry]\nkey_store = \"tpm\"\n"),
                     SK_OK);
    assert_int_equal(config.key_store.kind, SK_KEYS_IN_TPM);
    assert_string_equal(config.key_store.tcti, "device:/dev/tpmrm0");
    sk_edge_config_free(&config);
}

TEST(limits_on_the_edges_clients_are_keys) {
    assert_int_equal(
        read_text(HOST MANUAL
                  "connection_string = \"HostName=h;DeviceId=d;SharedAccessKey=MDEyMw==\"\n"
                  "[skerry]\nmax_connections = 500\n"
                  "max_connections_per_address = 100\nmax_unauthenticated = 50\n"),
        SK_OK);
    assert_int_equal(config.limits.connections, 500);
    assert_int_equal(config.limits.an_address, 100);
    assert_int_equal(config.limits.unproved, 50);
    sk_edge_config_free(&config);
}

TEST(azures_other_keys_are_warnings_with_their_line) {
    assert_int_equal(
        read_text(HOST "auto_reprovisioning_mode = \"Dynamic\"\n" STRING
                       "[agent]\nname = \"edgeAgent\"\ntype = \"docker\"\n[agent.config]\nimage = "
                       "\"x\"\n[watchdog]\nmax_retries = \"u\"\n"),
        SK_OK);
    assert_non_null(
        strstr(warnings, "config.toml:2: auto_reprovisioning_mode is not used here: the hub "));
    assert_non_null(strstr(warnings, "agent.config is not used here"));
    assert_non_null(strstr(warnings, "watchdog is not used here"));
    sk_edge_config_free(&config);
}

TEST(the_container_engine_and_its_network_are_azures_or_as_the_file_says) {
    assert_int_equal(read_text(HOST STRING), SK_OK);
    assert_string_equal(config.engine_uri, "unix:///var/run/docker.sock");
    assert_null(config.network);
    assert_true(config.images_collected);
    assert_int_equal(config.images_every_us, INT64_C(86400000000));
    assert_int_equal(config.images_age_us, INT64_C(7) * 86400000000);
    assert_string_equal(config.images_time, "00:00");
    sk_edge_config_free(&config);
    assert_int_equal(
        read_text(HOST STRING
                  "[moby_runtime]\nuri = \"/run/podman/podman.sock\"\n[moby_runtime.network]\n"
                  "name = \"edge\"\nipv6 = true\n[[moby_runtime.network.ipam.config]]\n"
                  "gateway = \"172.20.0.1\"\n[image_garbage_collection]\nenabled = false\n"),
        SK_OK);
    assert_string_equal(config.engine_uri, "/run/podman/podman.sock");
    assert_string_equal(json_string_value(json_object_get(config.network, "name")), "edge");
    assert_false(config.images_collected);
    sk_edge_config_free(&config);
}

TEST(mistakes_are_told_with_file_line_key_and_the_mend) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"hostnam = \"x\"\n" STRING,
         "config.toml:1: hostnam: is not known; did you mean hostname?\n"
         "config.toml: hostname: is missing; write the name under which leaf devices reach this "
         "machine."},
        {HOST "[provisioning]\nsourc = \"manual\"\n",
         "config.toml:3: provisioning.sourc: is not known; did you mean provisioning.source?\n"
         "config.toml:2: provisioning.source: is missing; write source = \"manual\" and a "
         "connection_string."},
        {HOST "frobnicate = 1\n" STRING,
         "config.toml:2: frobnicate: is not known; remove it or correct its name."},
        {"hostname = 7\n" STRING,
         "config.toml:1: hostname: must be text in quotes, such as \"edge1.local\"."},
        {HOST "provisioning = 1\n", "config.toml:2: provisioning: must be a table."},
        {HOST STRING "[skerry]\nlisten = [\"a:0\"]\n",
         "config.toml:6: skerry.listen[0]: needs a port from 1 to 65535."},
        {HOST STRING "[moby_runtime]\nuri = \"tcp://10.0.0.1:2375\"\n",
         "config.toml:6: moby_runtime.uri: must be a unix socket's, as "
         "\"unix:///var/run/docker.sock\"."},
        {HOST STRING "[image_garbage_collection]\ncleanup_time = \"24:00\"\n",
         "config.toml:6: image_garbage_collection.cleanup_time: must be a time of the day like "
         "\"23:30\"."},
        {HOST, "config.toml: provisioning.source: is missing; write source = \"manual\" and a "
               "connection_string."},
        {STRING,
         "config.toml: hostname: is missing; write the name under which leaf devices reach this "
         "machine."},
        {HOST "[provisioning]\nsource = \"dps\"\nid_scope = \"x\"\n",
         "config.toml:3: provisioning.source: must be \"manual\"; others are not supported yet."},
        {HOST MANUAL, "config.toml:2: provisioning: source \"manual\" needs connection_string, or "
                      "iothub_hostname, device_id and authentication."},
        {HOST MANUAL "connection_string = \"HostName=h;DeviceId=d\"\n",
         "config.toml:4: provisioning.connection_string: must be a device's: "
         "HostName=…;DeviceId=…;SharedAccessKey=…."},
        {HOST MANUAL "connection_string = \"HostName=h;DeviceId\"\n",
         "config.toml:4: provisioning.connection_string: A part of the connection string has no "
         "'=': write Name=Value;Name=Value."},
        {HOST MANUAL
         "iothub_hostname = \"h\"\ndevice_id = \"d\"\n[provisioning.authentication]\nmethod = "
         "\"x509\"\n",
         "config.toml:6: provisioning.authentication: needs identity_cert and identity_pk with "
         "method \"x509\", or identity_cert = { method = \"est\" }."},
        {HOST MANUAL "iothub_hostname = \"h\"\ndevice_id = \"d\"\n[provisioning.authentication]\n"
                     "device_id_pk = { value = \"MDEyMw==\" }\nidentity_cert = \"file:///c\"\n",
         "config.toml:6: provisioning.authentication.method: must be \"x509\" for identity_cert "
         "and identity_pk to count."},
        {HOST STRING "[aziot_keys]\npkcs11_base_slot = \"pkcs11:token=t\"\n",
         "config.toml:5: aziot_keys.pkcs11_lib_path: is missing; write the path of the token's "
         "PKCS#11 module."},
        {HOST STRING "[skerry]\nkey_store = \"pkcs11\"\n",
         "config.toml: aziot_keys.pkcs11_base_slot: is missing; write "
         "\"pkcs11:token=…?pin-value=…\"."},
        {HOST STRING "[skerry]\nkey_store = \"tape\"\n",
         "config.toml:6: skerry.key_store: must be \"files\", \"tpm\" or \"pkcs11\"."},
        {HOST STRING "[edge_ca]\ncert = \"file:///c\"\n",
         "config.toml:5: edge_ca: needs both cert and pk, or none of them."},
        {HOST STRING "[edge_ca]\nauto_generated_edge_ca_expiry_days = 0\n",
         "config.toml:6: edge_ca.auto_generated_edge_ca_expiry_days: must be a whole number from "
         "1 to 36500."},
        {HOST STRING "[edge_ca]\nmethod = \"self\"\n",
         "config.toml:6: edge_ca.method: must be \"est\" or \"local_ca\"."},
        {HOST STRING "[edge_ca]\nmethod = \"est\"\n",
         "config.toml:5: edge_ca: needs url, or [cert_issuance.est.urls] default: the EST "
         "server's.\n"
         "config.toml:5: edge_ca: needs something by which the EST server knows the edge: username "
         "and password, or bootstrap_identity_cert and bootstrap_identity_pk."},
        {HOST STRING "[edge_ca]\nmethod = \"local_ca\"\n",
         "config.toml:5: edge_ca: needs [cert_issuance.local_ca] cert and pk with method "
         "\"local_ca\"."},
        {HOST STRING "[edge_ca]\nurl = \"http://h/\"\n",
         "config.toml:6: edge_ca.url: must be https://HOST[:PORT]/PATH."},
        {HOST STRING "[edge_ca.auto_renew]\nthreshold = \"100%\"\n",
         "config.toml:6: edge_ca.auto_renew.threshold: must be a share of its life from \"1%\" to "
         "\"99%\", or a time."},
        {HOST STRING "[edge_ca]\ncert = \"pkcs11:x\"\npk = \"c.pem\"\n",
         "config.toml:6: edge_ca.cert: must be a file with its whole path, such as "
         "\"file:///etc/aziot/key\".\n"
         "config.toml:7: edge_ca.pk: must be a file with its whole path, or "
         "\"pkcs11:token=…;object=…?pin-value=…\"."},
        {HOST STRING "[skerry]\nlisten = [\"8883\"]\n",
         "config.toml:6: skerry.listen[0]: must be \"ADDRESS\" or \"ADDRESS:PORT\", such as "
         "\"0.0.0.0:8883\"."},
        {HOST STRING "[skerry]\nlisten = [\"a:65536\"]\n",
         "config.toml:6: skerry.listen[0]: must be \"ADDRESS\" or \"ADDRESS:PORT\", such as "
         "\"0.0.0.0:8883\"."},
        {HOST STRING "[skerry]\nlisten = []\n",
         "config.toml:6: skerry.listen: must be a list of 1 to 12 addresses."},
        {HOST STRING "[skerry]\nlisten = [1]\n",
         "config.toml:6: skerry.listen: must be a list of 1 to 12 addresses."},
        {HOST STRING "[skerry]\ndata = \"here\"\n",
         "config.toml:6: skerry.data: must be a file with its whole path, of at most 64 "
         "characters, such as \"/var/lib/skerry\"."},
        {HOST STRING "[agent.env]\nA = [1]\n",
         "config.toml:5: agent.env: must be a table of texts and numbers."},
        {HOST STRING "[skerry]\ndata = \"\"\n",
         "config.toml:6: skerry.data: must not be empty; remove it instead."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_text(cases[i].text), SK_INVALID);
        assert_string_equal(error, cases[i].error);
    }
}

TEST(a_data_folder_leaves_room_for_socket_names) {
    char text[512];
    for (int n = 63; n <= 64; n++) {
        snprintf(text, sizeof text, HOST STRING "[skerry]\ndata = \"/%0*d\"\n", n, 0);
        assert_int_equal(read_text(text), n == 63 ? SK_OK : SK_INVALID);
        sk_edge_config_free(&config);
    }
}

TEST(every_limit_of_every_key_is_kept) {
    char room[4096] __attribute__((aligned(16)));
    walk_keys(sk_edge_config_keys, room, sizeof room);
}

TEST(the_reference_page_is_what_the_program_prints) {
    struct sk_buffer page = {0};
    sk_edge_config_reference(&page);
    compare_page(sk_buffer_span(&page), "config.toml.md", "skerry-edge reference");
    sk_buffer_free(&page);
}

TEST(the_way_upstream_is_what_agent_env_says) {
    static const struct {
        const char *env;
        bool websocket;
        const char *proxy;
        bool amqp, fallback;
    } cases[] = {
        {"", false, NULL, .fallback = true},
        {"UpstreamProtocol = \"Mqtt\"\n", false, .proxy = NULL},
        {"UpstreamProtocol = \"MqttWs\"\n", true, .proxy = NULL},
        {"UpstreamProtocol = \"mqttws\"\n", true, .proxy = NULL},
        {"UpstreamProtocol = \"Amqp\"\n", false, NULL, .amqp = true},
        {"UpstreamProtocol = \"AmqpWs\"\n", true, NULL, .amqp = true},
        {"https_proxy = \"http://u:p@proxy:3128\"\n", true, .proxy = "http://u:p@proxy:3128"},
        {"UpstreamProtocol = \"Mqtt\"\nhttps_proxy = \"http://proxy:3128/\"\n", false,
         .proxy = "http://proxy:3128/"},
        {"https_proxy = \"http://proxy:3128\"\nno_proxy = \"localhost, .example\"\n", false, NULL,
         .fallback = true},
        {"https_proxy = \"http://proxy:3128\"\nno_proxy = \"hub.example\"\n", false, NULL,
         .fallback = true},
        {"https_proxy = \"http://proxy:3128\"\nno_proxy = \"*\"\n", false, NULL, .fallback = true},
        {"https_proxy = \"http://proxy:3128\"\nno_proxy = \"ub.example,other\"\n", true,
         .proxy = "http://proxy:3128"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, HOST STRING "[agent.env]\n%s", cases[i].env);
        if (read_text(text)) fail_msg("%s: %s", cases[i].env, error);
        assert_string_equal(config.upstream.host, "hub.example");
        assert_int_equal(config.upstream.websocket, cases[i].websocket);
        assert_int_equal(config.upstream.amqp, cases[i].amqp);
        assert_int_equal(config.upstream.fallback, cases[i].fallback);
        if (cases[i].proxy)
            assert_string_equal(config.upstream.proxy, cases[i].proxy);
        else
            assert_null(config.upstream.proxy);
        sk_edge_config_free(&config);
    }
    assert_int_equal(read_text(HOST STRING "[agent.env]\nUpstreamProtocol = \"Pigeon\"\n"),
                     SK_INVALID);
    assert_non_null(strstr(error, "config.toml:6: agent.env.UpstreamProtocol: must be Mqtt"));
    assert_int_equal(read_text(HOST STRING "[agent.env]\nhttps_proxy = \"proxy:3128\"\n"),
                     SK_INVALID);
    assert_non_null(strstr(error, "agent.env.https_proxy: must be http://"));
}
