/* The hub's CA certificates: registering them, and proving to hold their keys. */
#include <stdio.h>

#include "cli/cli.h"

static const char *const columns[] = {"name",
                                      "properties.subject",
                                      "properties.isVerified",
                                      "properties.expiry",
                                      "properties.thumbprint",
                                      NULL};
static const char *const code_columns[] = {"name", "properties.subject", "properties.isVerified",
                                           "properties.verificationCode", NULL};

static const char *certificate_path(struct cli *cli) {
    return cli_path(cli, "/certificates/%s", cli->typed.words[0], NULL);
}

/* The text of a PEM file as a JSON string; NULL with a message when there is none. */
static json_t *read_file(struct cli *cli, const char *file) {
    struct sk_buffer text = {.limit = 64 * 1024};
    json_t *value = NULL;
    enum sk_status status = sk_file_load(cli->io, file, &text);
    if (!status) value = json_stringn(text.p, text.n);
    if (value == NULL)
        cli_fail("%s cannot be read: %s", file,
                 status ? sk_status_text(status) : "it is no text; convert it to PEM");
    sk_buffer_free(&text);
    return value;
}

int cli_certificate_add(void *arg) {
    struct cli *cli = arg;
    const char *path = certificate_path(cli);
    bool verified = sk_typed_option(&cli->typed, "verified") != NULL;
    json_t *pem = read_file(cli, cli->typed.words[1]);
    if (pem == NULL) return SK_EXIT_REFUSED;
    json_t *body =
        json_pack("{s:{s:o,s:b}}", "properties", "certificate", pem, "isVerified", verified);
    struct cli_answer answer;
    int code = cli_call(cli, SK_HTTP_PUT, path, body, NULL, NULL, &answer);
    json_decref(body);
    if (code) return code;
    if (verified) cli_print(cli, answer.body, columns);
    json_decref(answer.body);
    if (verified) return code;
    /* What comes next is the proof: print the code that it is made with. */
    path = sk_arena_print(&cli->arena, "%s/generateVerificationCode", path).p;
    code = cli_show(cli, SK_HTTP_POST, path, NULL, NULL, code_columns);
    if (!code && cli->output == CLI_TABLE)
        fprintf(stderr,
                "Sign a certificate with the code as its common name by this CA, then: "
                "skerry certificate verify %s FILE\n",
                cli->typed.words[0]);
    return code;
}

int cli_certificate_verify(void *arg) {
    struct cli *cli = arg;
    json_t *pem = read_file(cli, cli->typed.words[1]);
    if (pem == NULL) return SK_EXIT_REFUSED;
    json_t *body = json_pack("{s:o}", "certificate", pem);
    int code = cli_show(cli, SK_HTTP_POST,
                        sk_arena_print(&cli->arena, "%s/verify", certificate_path(cli)).p, body,
                        NULL, columns);
    json_decref(body);
    return code;
}

int cli_certificate_list(void *arg) {
    struct cli *cli = arg;
    struct cli_answer answer;
    int code = cli_call(cli, SK_HTTP_GET, "/certificates", NULL, NULL, NULL, &answer);
    if (code) return code;
    cli_print(cli, json_object_get(answer.body, "value"), columns);
    json_decref(answer.body);
    return code;
}

int cli_certificate_remove(void *arg) {
    struct cli *cli = arg;
    return cli_show(cli, SK_HTTP_DELETE, certificate_path(cli), NULL, NULL, NULL);
}
