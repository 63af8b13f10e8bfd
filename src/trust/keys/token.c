/* One PKCS#11 token: a session that is opened anew when the token has gone and come back, and keys
 * found by their labels for each use. The module is loaded when it is first needed. */
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>

#include "trust/keys/parts.h"
#include "trust/keys/pkcs11_uri.h"

enum { SAME_MAX = 8, ATTRIBUTE_MAX = 1024, PADDED_SECRET = 32 };
/* Ours, beside the module's results. */
#define NO_SUCH_KEY (CKR_VENDOR_DEFINED | 1)
#define NO_PUBLIC_KEY (CKR_VENDOR_DEFINED | 2)

struct key_token {
    struct sk_io *io;
    char *library, *uri;
    struct sk_pkcs11_uri at;
    CK_FUNCTION_LIST *call; /* NULL: not loaded */
    CK_SESSION_HANDLE session;
    bool open;
    bool pin_refused; /* and not tried again: tokens lock themselves after a few */
};

/* ---- the session ---- */

static enum sk_status load_module(struct key_token *token, char reason[256]) {
    if (token->call) return SK_OK;
    void *module = dlopen(token->library, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = NULL;
    if (module) *(void **)&get = dlsym(module, "C_GetFunctionList");
    if (get == NULL)
        return key_refuse(reason, SK_INVALID, "Cannot load the PKCS#11 module %.90s: %.90s.",
                          token->library, module ? "it has no C_GetFunctionList" : dlerror());
    if (get(&token->call) == CKR_OK) return SK_OK;
    token->call = NULL;
    return key_refuse(reason, SK_IO, "The PKCS#11 module %.150s gives no functions.",
                      token->library);
}

/* Modules look for tokens when they are initialised. */
static void let_go(struct key_token *token) {
    token->open = false;
    token->call->C_Finalize(NULL);
}

/* `field` is filled up with spaces. */
static bool is_label(const char *wanted, const CK_UTF8CHAR *field, size_t size) {
    while (size && field[size - 1] == ' ') size--;
    return *wanted == 0 || sk_span_is(sk_span(field, size), wanted);
}

static bool find_slot(struct key_token *token, CK_SLOT_ID *slot) {
    CK_SLOT_ID slots[64];
    CK_ULONG count = sizeof slots / sizeof *slots;
    if (token->call->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK) return false;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (token->at.slot >= 0 && (CK_ULONG)token->at.slot != slots[i]) continue;
        if (token->call->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
            (info.flags & CKF_TOKEN_INITIALIZED) == 0)
            continue;
        if (!is_label(token->at.token, info.label, sizeof info.label) ||
            !is_label(token->at.serial, info.serialNumber, sizeof info.serialNumber))
            continue;
        *slot = slots[i];
        return true;
    }
    return false;
}

/* A module that another token has initialised knows the slots of that time: it looks again. */
static enum sk_status find_token(struct key_token *token, CK_SLOT_ID *slot, char reason[256]) {
    CK_RV result = CKR_OK;
    for (int tries = 0; tries < 2; tries++) {
        result = token->call->C_Initialize(NULL);
        if (result != CKR_OK && result != CKR_CRYPTOKI_ALREADY_INITIALIZED)
            return key_refuse(reason, SK_IO, "The PKCS#11 module %.120s does not start: 0x%lx.",
                              token->library, result);
        if (find_slot(token, slot)) return SK_OK;
        let_go(token);
        if (result == CKR_OK) break;
    }
    const char *quote = token->at.token[0] ? "'" : "";
    return key_refuse(reason, SK_IO,
                      "The PKCS#11 token %s%.60s%s is not there (%.90s): plug it in.", quote,
                      token->at.token, quote, token->library);
}

static enum sk_status log_in(struct key_token *token, char reason[256]) {
    struct sk_buffer file = {.limit = SK_PKCS11_TEXT_MAX};
    struct sk_span pin = sk_span_z(token->at.pin);
    enum sk_status status = SK_OK;
    if (token->at.pin_file[0]) {
        status = key_file_load(token->io, token->at.pin_file, &file, reason);
        pin = sk_span_trim(sk_buffer_span(&file));
    }
    if (!status && pin.n) {
        CK_RV result = token->call->C_Login(token->session, CKU_USER, (CK_UTF8CHAR *)pin.p, pin.n);
        token->pin_refused =
            result == CKR_PIN_INCORRECT || result == CKR_PIN_LOCKED || result == CKR_PIN_LEN_RANGE;
        if (token->pin_refused)
            status = key_refuse(reason, SK_UNAUTHORIZED,
                                "The PKCS#11 token (%.100s) refuses the PIN; write the right "
                                "pin-value and restart.",
                                token->library);
        else if (result != CKR_OK && result != CKR_USER_ALREADY_LOGGED_IN)
            status = key_refuse(reason, SK_IO, "The PKCS#11 token (%.100s) lets nobody in: 0x%lx.",
                                token->library, result);
    }
    key_bytes_free(&file);
    return status;
}

static enum sk_status open_session(struct key_token *token, char reason[256]) {
    CK_SLOT_ID slot;
    if (token->open) return SK_OK;
    if (token->pin_refused)
        return key_refuse(reason, SK_UNAUTHORIZED,
                          "The PKCS#11 token (%.100s) has refused the PIN; write the right "
                          "pin-value and restart.",
                          token->library);
    enum sk_status status = load_module(token, reason);
    if (status) return status;
    status = find_token(token, &slot, reason);
    if (status) return status;
    CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    CK_RV result = token->call->C_OpenSession(slot, flags, NULL, NULL, &token->session);
    if (result == CKR_TOKEN_WRITE_PROTECTED)
        result = token->call->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &token->session);
    if (result != CKR_OK) {
        let_go(token);
        return key_refuse(reason, SK_IO, "The PKCS#11 token (%.120s) opens no session: 0x%lx.",
                          token->library, result);
    }
    status = log_in(token, reason);
    if (status)
        let_go(token);
    else
        token->open = true;
    return status;
}

/* ---- calls that try once more when the token has gone meanwhile ---- */

struct work {
    CK_RV (*run)(struct key_token *token, struct work *work);
    struct sk_span label, id; /* of the key */
    struct sk_span in;
    CK_MECHANISM_TYPE mechanism;
    struct sk_buffer out;
    EVP_PKEY *pair;
};

/* Also what there is no key for: a token that went and came back shows nothing. */
static bool may_have_gone(CK_RV result) {
    static const CK_RV these[] = {CKR_DEVICE_REMOVED,
                                  CKR_DEVICE_ERROR,
                                  CKR_TOKEN_NOT_PRESENT,
                                  CKR_TOKEN_NOT_RECOGNIZED,
                                  CKR_SESSION_HANDLE_INVALID,
                                  CKR_SESSION_CLOSED,
                                  CKR_SLOT_ID_INVALID,
                                  CKR_CRYPTOKI_NOT_INITIALIZED,
                                  CKR_USER_NOT_LOGGED_IN,
                                  CKR_OBJECT_HANDLE_INVALID,
                                  CKR_KEY_HANDLE_INVALID,
                                  CKR_GENERAL_ERROR,
                                  NO_SUCH_KEY};
    for (size_t i = 0; i < sizeof these / sizeof *these; i++)
        if (result == these[i]) return true;
    return false;
}

static enum sk_status refusal(const struct key_token *token, const struct work *work, CK_RV result,
                              char reason[256]) {
    struct sk_span label = sk_span_first(work->label, 40);
    if (result == NO_SUCH_KEY)
        return key_refuse(reason, SK_NOT_FOUND, "The PKCS#11 token (%.120s) has no key '%.*s'.",
                          token->library, SK_ARG(label));
    if (result == NO_PUBLIC_KEY)
        return key_refuse(reason, SK_MALFORMED,
                          "The PKCS#11 token (%.80s) has no public key with '%.*s', or of a kind "
                          "that is not served (RSA, P-256, P-384).",
                          token->library, SK_ARG(label));
    return key_refuse(reason, SK_IO, "The PKCS#11 token (%.100s) fails with key '%.*s': 0x%lx.",
                      token->library, SK_ARG(label), result);
}

static enum sk_status run(struct key_token *token, struct work *work, char reason[256]) {
    CK_RV result = CKR_OK;
    for (int tries = 0; tries < 2; tries++) {
        enum sk_status status = open_session(token, reason);
        if (status) return status;
        work->out.n = 0;
        result = work->run(token, work);
        if (result == CKR_OK) return SK_OK;
        if (!may_have_gone(result)) break;
        let_go(token);
    }
    return refusal(token, work, result, reason);
}

/* ---- objects ---- */

static size_t find_objects(struct key_token *token, const struct work *work, CK_OBJECT_CLASS class,
                           CK_OBJECT_HANDLE *found, size_t room) {
    CK_ATTRIBUTE wanted[3] = {{CKA_CLASS, &class, sizeof class}};
    CK_ULONG n = 1, count = 0;
    if (work->label.n)
        wanted[n++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)work->label.p, work->label.n};
    if (work->id.n) wanted[n++] = (CK_ATTRIBUTE){CKA_ID, (void *)work->id.p, work->id.n};
    if (token->call->C_FindObjectsInit(token->session, wanted, n) != CKR_OK) return 0;
    if (token->call->C_FindObjects(token->session, found, room, &count) != CKR_OK) count = 0;
    token->call->C_FindObjectsFinal(token->session);
    return count;
}

static bool attribute(struct key_token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                      struct sk_buffer *to) {
    to->n = 0;
    CK_ATTRIBUTE value = {type, sk_buffer_reserve(to, ATTRIBUTE_MAX), ATTRIBUTE_MAX};
    CK_RV result = token->call->C_GetAttributeValue(token->session, object, &value, 1);
    if (result != CKR_OK || value.ulValueLen == 0 || value.ulValueLen > ATTRIBUTE_MAX) return false;
    to->n = value.ulValueLen;
    return true;
}

static void destroy(struct key_token *token, const CK_OBJECT_HANDLE *objects, size_t count) {
    for (size_t i = 0; i < count; i++) token->call->C_DestroyObject(token->session, objects[i]);
}

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
#define YES(type)                                                                                  \
    { type, &yes, sizeof yes }
#define NO(type)                                                                                   \
    { type, &no, sizeof no }
#define BYTES(type, span)                                                                          \
    { type, (void *)(span).p, (span).n }

static struct work work_on(struct key_token *token, const char *label,
                           CK_RV (*what)(struct key_token *, struct work *)) {
    struct work work = {.run = what, .label = sk_span_z(label ? label : token->at.object)};
    if (label == NULL) work.id = sk_span(token->at.id, token->at.id_size);
    return work;
}

/* ---- signing ---- */

static CK_RV sign_with(struct key_token *token, struct work *work, CK_OBJECT_CLASS class) {
    CK_OBJECT_HANDLE key;
    CK_MECHANISM mechanism = {work->mechanism, NULL, 0};
    CK_ULONG n = ATTRIBUTE_MAX;
    if (find_objects(token, work, class, &key, 1) == 0) return NO_SUCH_KEY;
    CK_RV result = token->call->C_SignInit(token->session, &mechanism, key);
    if (result != CKR_OK) return result;
    CK_BYTE *to = (CK_BYTE *)sk_buffer_reserve(&work->out, n);
    result = token->call->C_Sign(token->session, (CK_BYTE *)(work->in.p ? work->in.p : ""),
                                 work->in.n, to, &n);
    if (result == CKR_OK) work->out.n += n;
    return result;
}

static CK_RV sign_by_secret(struct key_token *token, struct work *work) {
    return sign_with(token, work, CKO_SECRET_KEY);
}

static CK_RV sign_by_private_key(struct key_token *token, struct work *work) {
    return sign_with(token, work, CKO_PRIVATE_KEY);
}

enum sk_status key_token_hmac(struct key_token *token, const char *label, struct sk_span text,
                              uint8_t digest[32], char reason[256]) {
    struct work work = work_on(token, label, sign_by_secret);
    work.in = text;
    work.mechanism = CKM_SHA256_HMAC;
    enum sk_status status = run(token, &work, reason);
    if (!status && work.out.n != 32)
        status = key_refuse(reason, SK_IO, "The PKCS#11 token (%.120s) makes odd signatures.",
                            token->library);
    if (!status) memcpy(digest, work.out.p, 32);
    key_bytes_free(&work.out);
    return status;
}

/* ---- pairs ---- */

/* What signs for a pair: it outlives the call that asked for the pair. */
struct signer {
    struct key_token *token;
    char *label; /* NULL: the URI's object */
};

static bool delegate_sign(void *arg, enum key_signing how, struct sk_span from,
                          struct sk_buffer *signature) {
    static const CK_MECHANISM_TYPE mechanisms[] = {[KEY_SIGNS_EC] = CKM_ECDSA,
                                                   [KEY_SIGNS_RSA_PKCS1] = CKM_RSA_PKCS,
                                                   [KEY_SIGNS_RSA_RAW] = CKM_RSA_X_509};
    const struct signer *signer = arg;
    struct work work = work_on(signer->token, signer->label, sign_by_private_key);
    char reason[256];
    work.in = from;
    work.mechanism = mechanisms[how];
    enum sk_status status = run(signer->token, &work, reason);
    if (status) SK_SELDOM(SK_LEVEL_ERROR, "keys", "%s", reason);
    if (!status) status = sk_buffer_append(signature, sk_buffer_span(&work.out));
    sk_buffer_free(&work.out);
    return status == SK_OK;
}

static void free_signer(void *arg) {
    struct signer *signer = arg;
    free(signer->label);
    free(signer);
}

/* The curve of CKA_EC_PARAMS; 0: it is no name. */
static int curve_of(struct sk_span der) {
    const unsigned char *at = (const unsigned char *)der.p;
    ASN1_OBJECT *name = d2i_ASN1_OBJECT(NULL, &at, (long)der.n);
    int curve = name ? OBJ_obj2nid(name) : NID_undef;
    ASN1_OBJECT_free(name);
    return curve;
}

/* CKA_EC_POINT is an octet string around the point; of some tokens the point alone. */
static struct sk_span point_of(struct sk_span der) {
    size_t head = der.n > 2 && der.p[0] == 4 && (size_t)(uint8_t)der.p[1] + 2 == der.n ? 2 : 0;
    return sk_span_skip(der, head);
}

static CK_RV make_delegate(struct key_token *token, struct work *work,
                           const CK_OBJECT_HANDLE *halves, const struct key_delegate *delegate) {
    struct sk_buffer kind = {0}, first = {0}, second = {0};
    CK_KEY_TYPE type = 0;
    if (attribute(token, halves[0], CKA_KEY_TYPE, &kind) && kind.n == sizeof type)
        memcpy(&type, kind.p, sizeof type);
    bool rsa = type == CKK_RSA;
    bool fine = attribute(token, halves[0], rsa ? CKA_MODULUS : CKA_EC_PARAMS, &first);
    /* The public half has the point; a private one may. */
    for (int i = 1; fine && i >= 0; i--)
        if (attribute(token, halves[i], rsa ? CKA_PUBLIC_EXPONENT : CKA_EC_POINT, &second)) break;
    struct sk_span a = sk_buffer_span(&first), b = sk_buffer_span(&second);
    if (fine && b.n)
        work->pair = rsa ? key_delegate_rsa(delegate, a, b)
                         : key_delegate_ec(delegate, curve_of(a), point_of(b));
    else
        delegate->free(delegate->arg);
    sk_buffer_free(&kind);
    sk_buffer_free(&first);
    sk_buffer_free(&second);
    return work->pair ? CKR_OK : NO_PUBLIC_KEY;
}

static CK_RV read_pair(struct key_token *token, struct work *work) {
    CK_OBJECT_HANDLE halves[2];
    if (find_objects(token, work, CKO_PRIVATE_KEY, &halves[0], 1) == 0) return NO_SUCH_KEY;
    if (find_objects(token, work, CKO_PUBLIC_KEY, &halves[1], 1) == 0) halves[1] = halves[0];
    struct signer *signer = SK_NEW(struct signer);
    signer->token = token;
    if (work->label.p != token->at.object) signer->label = sk_span_dup(work->label);
    return make_delegate(
        token, work, halves,
        &(struct key_delegate){.arg = signer, .sign = delegate_sign, .free = free_signer});
}

enum sk_status key_token_pair(struct key_token *token, const char *label, EVP_PKEY **pair,
                              char reason[256]) {
    struct work work = work_on(token, label, read_pair);
    enum sk_status status = run(token, &work, reason);
    *pair = work.pair;
    return status;
}

/* ---- making keys: sensitive, and never extracted ---- */

static CK_RV make_secret(struct key_token *token, struct work *work) {
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_MECHANISM mechanism = {CKM_GENERIC_SECRET_KEY_GEN, NULL, 0};
    CK_ULONG length = PADDED_SECRET;
    CK_OBJECT_HANDLE before[SAME_MAX], made;
    CK_ATTRIBUTE attributes[] = {{CKA_CLASS, &class, sizeof class},
                                 {CKA_KEY_TYPE, &type, sizeof type},
                                 YES(CKA_TOKEN),
                                 YES(CKA_PRIVATE),
                                 YES(CKA_SENSITIVE),
                                 NO(CKA_EXTRACTABLE),
                                 YES(CKA_SIGN),
                                 BYTES(CKA_LABEL, work->label),
                                 BYTES(CKA_ID, work->label),
                                 {CKA_VALUE_LEN, &length, sizeof length}};
    CK_ULONG count = sizeof attributes / sizeof *attributes;
    size_t old = find_objects(token, work, class, before, SAME_MAX);
    CK_RV result;
    if (work->in.n) {
        attributes[count - 1] = (CK_ATTRIBUTE)BYTES(CKA_VALUE, work->in);
        result = token->call->C_CreateObject(token->session, attributes, count, &made);
    } else {
        result = token->call->C_GenerateKey(token->session, &mechanism, attributes, count, &made);
    }
    if (result == CKR_OK) destroy(token, before, old);
    return result;
}

enum sk_status key_token_make_secret(struct key_token *token, const char *label,
                                     struct sk_span bytes, char reason[256]) {
    struct work work = work_on(token, label, make_secret);
    /* Tokens want as many bytes as the digest has; zeros behind a shorter key do not change what
     * HMAC makes of it (RFC 2104, 2). */
    uint8_t padded[SK_SECRET_MAX] = {0};
    if (bytes.n) memcpy(padded, bytes.p, bytes.n);
    if (bytes.n) work.in = sk_span(padded, bytes.n < PADDED_SECRET ? PADDED_SECRET : bytes.n);
    enum sk_status status = run(token, &work, reason);
    OPENSSL_cleanse(padded, sizeof padded);
    return status;
}

static CK_RV make_pair(struct key_token *token, struct work *work) {
    static const CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_HANDLE privates[SAME_MAX], publics[SAME_MAX], public, private;
    CK_ATTRIBUTE public_half[] = {YES(CKA_TOKEN),
                                  NO(CKA_PRIVATE),
                                  YES(CKA_VERIFY),
                                  {CKA_EC_PARAMS, (void *)p256, sizeof p256},
                                  BYTES(CKA_LABEL, work->label),
                                  BYTES(CKA_ID, work->label)};
    CK_ATTRIBUTE private_half[] = {YES(CKA_TOKEN),
                                   YES(CKA_PRIVATE),
                                   YES(CKA_SENSITIVE),
                                   NO(CKA_EXTRACTABLE),
                                   YES(CKA_SIGN),
                                   BYTES(CKA_LABEL, work->label),
                                   BYTES(CKA_ID, work->label)};
    size_t old_privates = find_objects(token, work, CKO_PRIVATE_KEY, privates, SAME_MAX),
           old_publics = find_objects(token, work, CKO_PUBLIC_KEY, publics, SAME_MAX);
    CK_RV result = token->call->C_GenerateKeyPair(
        token->session, &mechanism, public_half, sizeof public_half / sizeof *public_half,
        private_half, sizeof private_half / sizeof *private_half, &public, &private);
    if (result == CKR_OK) destroy(token, privates, old_privates);
    if (result == CKR_OK) destroy(token, publics, old_publics);
    return result;
}

enum sk_status key_token_make_pair(struct key_token *token, const char *label, char reason[256]) {
    struct work work = work_on(token, label, make_pair);
    return run(token, &work, reason);
}

/* ---- life ---- */

enum sk_status key_token_check(struct key_token *token, char reason[256]) {
    return open_session(token, reason);
}

enum sk_status key_token_new(struct sk_io *io, const char *library, const char *uri,
                             struct key_token **made, char reason[256]) {
    struct key_token *token = SK_NEW(struct key_token);
    token->io = io;
    token->library = sk_span_dup(sk_span_z(library));
    token->uri = sk_span_dup(sk_span_z(uri));
    enum sk_status status = sk_pkcs11_uri_parse(sk_span_z(uri), &token->at, reason);
    if (status) {
        key_token_free(token);
        return status;
    }
    *made = token;
    return SK_OK;
}

/* The module stays loaded and initialised: other tokens may be its, too. */
void key_token_free(struct key_token *token) {
    if (token->open) token->call->C_CloseSession(token->session);
    free(token->library);
    OPENSSL_cleanse(token->uri, strlen(token->uri));
    free(token->uri);
    OPENSSL_cleanse(token, sizeof *token);
    free(token);
}
