#include "wire/postgres.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

/* ---- messages ---- */

static void put_number(struct sk_buffer *to, uint32_t value) {
    const char bytes[4] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8),
                           (char)value};
    sk_buffer_append(to, sk_span(bytes, 4));
}

static void put_short(struct sk_buffer *to, size_t value) {
    sk_buffer_byte(to, (char)(value >> 8));
    sk_buffer_byte(to, (char)value);
}

static void put_text(struct sk_buffer *to, const char *text) {
    sk_buffer_append(to, sk_span(text, strlen(text) + 1));
}

/* A message's type (0: it has none) and place for its length, which end() fills in. */
static size_t begin(struct sk_buffer *to, char type) {
    if (type) sk_buffer_byte(to, type);
    put_number(to, 0);
    return to->n - 4;
}

static void end(struct sk_buffer *to, size_t at) {
    size_t n = to->n - at;
    for (size_t i = 0; i < 4; i++) to->p[at + i] = (char)(n >> (24 - 8 * i));
}

void sk_postgres_put_ssl_request(struct sk_buffer *to) {
    put_number(to, 8);
    put_number(to, 80877103);
}

void sk_postgres_put_startup(struct sk_buffer *to, const char *user, const char *database) {
    size_t at = begin(to, 0);
    put_number(to, 3u << 16);
    put_text(to, "user");
    put_text(to, user);
    put_text(to, "database");
    put_text(to, database);
    put_text(to, "client_encoding");
    put_text(to, "UTF8");
    put_text(to, "application_name");
    put_text(to, "skerry");
    sk_buffer_byte(to, 0);
    end(to, at);
}

void sk_postgres_put_password(struct sk_buffer *to, struct sk_span text) {
    size_t at = begin(to, 'p');
    sk_buffer_append(to, text);
    end(to, at);
}

void sk_postgres_put_sasl(struct sk_buffer *to, const char *mechanism, struct sk_span first) {
    size_t at = begin(to, 'p');
    put_text(to, mechanism);
    put_number(to, (uint32_t)first.n);
    sk_buffer_append(to, first);
    end(to, at);
}

void sk_postgres_put_query(struct sk_buffer *to, const char *sql) {
    size_t at = begin(to, 'Q');
    put_text(to, sql);
    end(to, at);
}

void sk_postgres_put_statement(struct sk_buffer *to, const char *sql,
                               const struct sk_span *parameters, size_t count) {
    SK_ASSERT(count <= SK_POSTGRES_PARAMETERS_MAX);
    size_t at = begin(to, 'P');
    put_text(to, "");
    put_text(to, sql);
    put_short(to, 0); /* types: as the columns have them */
    end(to, at);
    at = begin(to, 'B');
    put_text(to, "");
    put_text(to, "");
    put_short(to, 0); /* formats: text */
    put_short(to, count);
    for (size_t i = 0; i < count; i++) {
        put_number(to, parameters[i].p ? (uint32_t)parameters[i].n : UINT32_MAX);
        sk_buffer_append(to, parameters[i]);
    }
    put_short(to, 0);
    end(to, at);
    at = begin(to, 'E');
    put_text(to, "");
    put_number(to, 0); /* all rows */
    end(to, at);
    end(to, begin(to, 'S'));
}

void sk_postgres_put_terminate(struct sk_buffer *to) {
    end(to, begin(to, 'X'));
}

uint32_t sk_postgres_take_number(struct sk_span *body) {
    if (body->n < 4) return 0;
    const unsigned char *p = (const unsigned char *)body->p;
    *body = sk_span_skip(*body, 4);
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum sk_status sk_postgres_read(struct sk_span in, struct sk_postgres_message *message,
                                size_t *used) {
    struct sk_span rest = sk_span_skip(in, 1);
    if (in.n < 5) return SK_AGAIN;
    uint32_t n = sk_postgres_take_number(&rest);
    if (n < 4 || n > SK_POSTGRES_MESSAGE_MAX) return SK_MALFORMED;
    if (rest.n < n - 4) return SK_AGAIN;
    *message = (struct sk_postgres_message){in.p[0], sk_span_first(rest, n - 4)};
    *used = n + 1;
    return SK_OK;
}

void sk_postgres_error_read(struct sk_span body, struct sk_postgres_error *error) {
    *error = (struct sk_postgres_error){SK_SPAN(""), SK_SPAN("")};
    while (body.n && body.p[0]) {
        char field = body.p[0];
        body = sk_span_skip(body, 1);
        struct sk_span text = sk_span_first(body, sk_span_find(body, 0));
        if (field == 'C') error->code = text;
        if (field == 'M') error->text = text;
        body = sk_span_skip(body, text.n + 1);
    }
}

/* ---- SCRAM-SHA-256 ---- */

enum { HASH = 32 };

static void sign(const unsigned char key[HASH], struct sk_span text, unsigned char to[HASH]) {
    HMAC(EVP_sha256(), key, HASH, (const unsigned char *)text.p, text.n, to, NULL);
}

void sk_scram_put_first(const struct sk_scram *scram, struct sk_buffer *to) {
    sk_buffer_print(to, "n,,n=,r=%s", scram->nonce);
}

/* Of "r=…,s=…,i=…". */
static struct sk_span attribute(struct sk_span text, char name) {
    struct sk_span part;
    while (sk_span_split(&text, ',', &part))
        if (part.n >= 2 && part.p[0] == name && part.p[1] == '=') return sk_span_skip(part, 2);
    return SK_NONE;
}

/* The proof that we know the password, for what both have said; the server's is kept. */
static void prove(struct sk_scram *scram, const unsigned char salted[HASH], struct sk_span said,
                  struct sk_buffer *to) {
    unsigned char client[HASH], stored[HASH], signature[HASH], server[HASH];
    sign(salted, SK_SPAN("Client Key"), client);
    EVP_Digest(client, HASH, stored, NULL, EVP_sha256(), NULL);
    sign(stored, said, signature);
    for (size_t i = 0; i < HASH; i++) client[i] ^= signature[i];
    sign(salted, SK_SPAN("Server Key"), server);
    sign(server, said, scram->server_signature);
    sk_base64_encode(to, sk_span(client, HASH));
}

enum sk_status sk_scram_put_final(struct sk_scram *scram, struct sk_span server_first,
                                  const char *password, struct sk_buffer *to) {
    struct sk_span nonce = attribute(server_first, 'r'), salt = attribute(server_first, 's');
    struct sk_buffer said = {0}, salt_bytes = {0};
    unsigned char salted[HASH];
    int64_t rounds;
    enum sk_status status = sk_span_to_int(attribute(server_first, 'i'), &rounds);
    if (!status && (rounds < 1 || !sk_span_starts(nonce, sk_span_z(scram->nonce))))
        status = SK_MALFORMED;
    if (!status && rounds > SK_SCRAM_ROUNDS_MAX) status = SK_TOO_LARGE;
    if (!status) status = sk_base64_decode(&salt_bytes, salt);
    if (!status) {
        PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (const unsigned char *)salt_bytes.p,
                          (int)salt_bytes.n, (int)rounds, EVP_sha256(), HASH, salted);
        sk_buffer_print(to, "c=biws,r=%.*s", SK_ARG(nonce));
        sk_buffer_print(&said, "n=,r=%s,%.*s,%.*s", scram->nonce, SK_ARG(server_first),
                        SK_ARG(sk_buffer_span(to)));
        sk_buffer_text(to, ",p=");
        prove(scram, salted, sk_buffer_span(&said), to);
    }
    sk_buffer_free(&said);
    sk_buffer_free(&salt_bytes);
    return status;
}

bool sk_scram_fits(const struct sk_scram *scram, struct sk_span server_final) {
    struct sk_buffer said = {0};
    bool fits =
        sk_base64_decode(&said, attribute(server_final, 'v')) == SK_OK &&
        sk_equal_constant_time(sk_buffer_span(&said), sk_span(scram->server_signature, HASH));
    sk_buffer_free(&said);
    return fits;
}
