/* Keys that only this machine's TPM 2.0 can use: made by it below its owner's storage key, and kept
 * wrapped in files NAME.tpm, of no use elsewhere or after the TPM has been cleared. Nothing stays
 * in the TPM. tpm2-tss is loaded when a configuration asks for it. */
#include <dlfcn.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <stdlib.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "trust/keys/parts.h"

enum { COORDINATE = 32, WRAPPED_MAX = 4096 };

/* ---- the libraries ---- */

/* Each call, and the library that has it. */
#define CALLS(X)                                                                                   \
    X(tctildr, Tss2_TctiLdr_Initialize)                                                            \
    X(tctildr, Tss2_TctiLdr_Finalize)                                                              \
    X(rc, Tss2_RC_Decode)                                                                          \
    X(mu, Tss2_MU_TPM2B_PUBLIC_Marshal)                                                            \
    X(mu, Tss2_MU_TPM2B_PUBLIC_Unmarshal)                                                          \
    X(mu, Tss2_MU_TPM2B_PRIVATE_Marshal)                                                           \
    X(mu, Tss2_MU_TPM2B_PRIVATE_Unmarshal)                                                         \
    X(esys, Esys_Initialize)                                                                       \
    X(esys, Esys_Finalize)                                                                         \
    X(esys, Esys_Free)                                                                             \
    X(esys, Esys_TR_SetAuth)                                                                       \
    X(esys, Esys_CreatePrimary)                                                                    \
    X(esys, Esys_Create)                                                                           \
    X(esys, Esys_Load)                                                                             \
    X(esys, Esys_FlushContext)                                                                     \
    X(esys, Esys_HMAC)                                                                             \
    X(esys, Esys_Sign)

static struct {
#define POINTER(library, call) __typeof__(call) *call;
    CALLS(POINTER)
} tss;

static void *find_call(const char *library, const char *call) {
    char name[64];
    snprintf(name, sizeof name, "libtss2-%s.so.0", library);
    void *loaded = dlopen(name, RTLD_NOW | RTLD_LOCAL); /* counts; never unloaded */
    return loaded ? dlsym(loaded, call) : NULL;
}

static enum sk_status load_libraries(char reason[256]) {
    static bool loaded;
    if (loaded) return SK_OK;
    setenv("TSS2_LOG", "all+none", 0); /* what goes wrong we say ourselves */
#define FIND(library, call)                                                                        \
    *(void **)&tss.call = find_call(#library, #call);                                              \
    if (tss.call == NULL)                                                                          \
        return key_refuse(reason, SK_INVALID,                                                      \
                          "The TPM needs tpm2-tss, of which libtss2-%s.so.0 cannot be loaded: "    \
                          "install libtss2-esys-3.0.2-0, libtss2-tctildr0 and libtss2-rc0.",       \
                          #library);
    CALLS(FIND)
    loaded = true;
    return SK_OK;
}

/* ---- the TPM ---- */

struct tpm {
    struct sk_key_store store;
    char *folder, *tcti, *owner_auth;
    TSS2_TCTI_CONTEXT *way;
    ESYS_CONTEXT *esys;
    ESYS_TR parent; /* of all our keys; made anew from the TPM's seed, always the same */
};

static void let_go(struct tpm *tpm) {
    if (tpm->esys && tpm->parent != ESYS_TR_NONE) tss.Esys_FlushContext(tpm->esys, tpm->parent);
    if (tpm->esys) tss.Esys_Finalize(&tpm->esys);
    if (tpm->way) tss.Tss2_TctiLdr_Finalize(&tpm->way);
    tpm->parent = ESYS_TR_NONE;
}

/* Format-one codes have the number of the parameter, handle or session in bits 6 to 11. */
static TPM2_RC code_of(TSS2_RC result) {
    TPM2_RC code = result & 0xffff;
    return code & TPM2_RC_FMT1 ? code & (TPM2_RC_FMT1 | 0x3f) : code;
}

static bool is_of_tpm(TSS2_RC result) {
    return (result & TSS2_RC_LAYER_MASK) == 0;
}

static enum sk_status refusal(struct tpm *tpm, TSS2_RC result, const char *what, char reason[256]) {
    TPM2_RC code = is_of_tpm(result) ? code_of(result) : 0;
    if (code == TPM2_RC_AUTH_FAIL || code == TPM2_RC_BAD_AUTH)
        return key_refuse(reason, SK_UNAUTHORIZED,
                          "The TPM refuses the authorization; write the right [tpm] "
                          "hierarchy_authorization.owner and restart.");
    if (code == TPM2_RC_INTEGRITY)
        return key_refuse(reason, SK_MALFORMED,
                          "The key '%.30s' in %.120s is another TPM's, or from before this one was "
                          "cleared.",
                          what, tpm->folder);
    return key_refuse(reason, SK_IO, "The TPM (%.60s) fails at '%.30s': %.110s.",
                      tpm->tcti ? tpm->tcti : "device", what, tss.Tss2_RC_Decode(result));
}

/* TPM2_CreatePrimary's template of a storage key, as the TCG's provisioning guidance has it for
 * P-256. */
static const TPM2B_PUBLIC parent_template = {
    .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                            TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .parameters.eccDetail = {
            .symmetric = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB},
            .scheme.scheme = TPM2_ALG_NULL,
            .curveID = TPM2_ECC_NIST_P256,
            .kdf.scheme = TPM2_ALG_NULL}}};

static TSS2_RC make_parent(struct tpm *tpm) {
    TPM2B_AUTH auth = {.size = 0};
    TPM2B_SENSITIVE_CREATE sensitive = {.size = 0};
    TPM2B_DATA outside = {.size = 0};
    TPML_PCR_SELECTION registers = {.count = 0};
    TPM2B_PUBLIC *public = NULL;
    TPM2B_CREATION_DATA *data = NULL;
    TPM2B_DIGEST *hash = NULL;
    TPMT_TK_CREATION *ticket = NULL;
    if (tpm->owner_auth) {
        auth.size = (UINT16)strlen(tpm->owner_auth);
        memcpy(auth.buffer, tpm->owner_auth, auth.size);
    }
    TSS2_RC result = tss.Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_OWNER, &auth);
    if (result == TSS2_RC_SUCCESS)
        result = tss.Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                        ESYS_TR_NONE, &sensitive, &parent_template, &outside,
                                        &registers, &tpm->parent, &public, &data, &hash, &ticket);
    tss.Esys_Free(public);
    tss.Esys_Free(data);
    tss.Esys_Free(hash);
    tss.Esys_Free(ticket);
    return result;
}

static enum sk_status open_tpm(struct tpm *tpm, char reason[256]) {
    if (tpm->esys) return SK_OK;
    const char *what = "opening";
    TSS2_RC result = tss.Tss2_TctiLdr_Initialize(tpm->tcti ? tpm->tcti : "device", &tpm->way);
    if (result == TSS2_RC_SUCCESS) result = tss.Esys_Initialize(&tpm->esys, tpm->way, NULL);
    if (result == TSS2_RC_SUCCESS) {
        what = "the storage key";
        result = make_parent(tpm);
    }
    if (result == TSS2_RC_SUCCESS) return SK_OK;
    enum sk_status status = refusal(tpm, result, what, reason);
    let_go(tpm);
    return status;
}

/* ---- calls that try once more when the TPM was started anew meanwhile ---- */

struct work {
    TSS2_RC (*run)(struct tpm *tpm, struct work *work);
    const char *name;
    struct sk_span in;
    TPM2B_PUBLIC public;
    TPM2B_PRIVATE private;
    uint8_t out[2 * COORDINATE];
};

static enum sk_status run(struct tpm *tpm, struct work *work, char reason[256]) {
    TSS2_RC result = TSS2_RC_SUCCESS;
    for (int tries = 0; tries < 2; tries++) {
        enum sk_status status = open_tpm(tpm, reason);
        if (status) return status;
        result = work->run(tpm, work);
        if (result == TSS2_RC_SUCCESS) return SK_OK;
        let_go(tpm);
    }
    return refusal(tpm, result, work->name, reason);
}

/* ---- wrapped keys in files ---- */

static void key_path(const struct tpm *tpm, const char *name, char to[512]) {
    snprintf(to, 512, "%s/%s.tpm", tpm->folder, name);
}

static enum sk_status save_key(struct tpm *tpm, const struct work *work, char reason[256]) {
    uint8_t bytes[WRAPPED_MAX];
    size_t n = 0;
    char path[512];
    key_path(tpm, work->name, path);
    TSS2_RC result = tss.Tss2_MU_TPM2B_PUBLIC_Marshal(&work->public, bytes, sizeof bytes, &n);
    if (result == TSS2_RC_SUCCESS)
        result = tss.Tss2_MU_TPM2B_PRIVATE_Marshal(&work->private, bytes, sizeof bytes, &n);
    if (result != TSS2_RC_SUCCESS) return refusal(tpm, result, work->name, reason);
    enum sk_status status = sk_folder_make(tpm->store.io, tpm->folder, 0700);
    if (!status) status = sk_file_save(tpm->store.io, path, sk_span(bytes, n), 0600);
    return status ? key_refuse(reason, status, "Cannot write the key %.180s: %s.", path,
                               sk_status_text(status))
                  : SK_OK;
}

static enum sk_status load_key(struct tpm *tpm, struct work *work, char reason[256]) {
    struct sk_buffer bytes = {0};
    size_t at = 0;
    char path[512];
    key_path(tpm, work->name, path);
    enum sk_status status = key_file_load(tpm->store.io, path, &bytes, reason);
    if (!status) {
        const uint8_t *p = (const uint8_t *)(bytes.p ? bytes.p : "");
        if (tss.Tss2_MU_TPM2B_PUBLIC_Unmarshal(p, bytes.n, &at, &work->public) ||
            tss.Tss2_MU_TPM2B_PRIVATE_Unmarshal(p, bytes.n, &at, &work->private) || at != bytes.n)
            status = key_refuse(reason, SK_MALFORMED,
                                "The key %.180s is damaged; restore the file from a backup.", path);
    }
    sk_buffer_free(&bytes);
    return status;
}

/* work->public is the template; work->in a secret's bytes, or empty. */
static TSS2_RC create(struct tpm *tpm, struct work *work) {
    TPM2B_SENSITIVE_CREATE sensitive = {.size = 0};
    TPM2B_DATA outside = {.size = 0};
    TPML_PCR_SELECTION registers = {.count = 0};
    TPM2B_PRIVATE *private = NULL;
    TPM2B_PUBLIC *public = NULL;
    TPM2B_CREATION_DATA *data = NULL;
    TPM2B_DIGEST *hash = NULL;
    TPMT_TK_CREATION *ticket = NULL;
    sensitive.sensitive.data.size = (UINT16)work->in.n;
    if (work->in.n) memcpy(sensitive.sensitive.data.buffer, work->in.p, work->in.n);
    TSS2_RC result = tss.Esys_Create(tpm->esys, tpm->parent, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                     ESYS_TR_NONE, &sensitive, &work->public, &outside, &registers,
                                     &private, &public, &data, &hash, &ticket);
    explicit_bzero(&sensitive, sizeof sensitive);
    if (result == TSS2_RC_SUCCESS) {
        work->public = *public;
        work->private = *private;
    }
    tss.Esys_Free(private);
    tss.Esys_Free(public);
    tss.Esys_Free(data);
    tss.Esys_Free(hash);
    tss.Esys_Free(ticket);
    return result;
}

static TSS2_RC load(struct tpm *tpm, const struct work *work, ESYS_TR *key) {
    return tss.Esys_Load(tpm->esys, tpm->parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                         &work->private, &work->public, key);
}

static enum sk_status make_key(struct sk_key_store *store, struct work *work, char reason[256]) {
    struct tpm *tpm = SK_CONTAINER(store, struct tpm, store);
    work->run = create;
    enum sk_status status = run(tpm, work, reason);
    return status ? status : save_key(tpm, work, reason);
}

enum {
    OWN_KEY = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH |
              TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT
};

/* ---- secrets ---- */

static enum sk_status make_secret(struct sk_key_store *store, const char *name,
                                  struct sk_span bytes, char reason[256]) {
    struct work work = {
        .name = name,
        .in = bytes,
        .public.publicArea = {
            .type = TPM2_ALG_KEYEDHASH,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = OWN_KEY | (bytes.n ? 0 : TPMA_OBJECT_SENSITIVEDATAORIGIN),
            .parameters.keyedHashDetail.scheme = {.scheme = TPM2_ALG_HMAC,
                                                  .details.hmac.hashAlg = TPM2_ALG_SHA256}}};
    return make_key(store, &work, reason);
}

static TSS2_RC run_hmac(struct tpm *tpm, struct work *work) {
    TPM2B_MAX_BUFFER text = {.size = (UINT16)work->in.n};
    TPM2B_DIGEST *digest = NULL;
    ESYS_TR key;
    if (work->in.n) memcpy(text.buffer, work->in.p, work->in.n);
    TSS2_RC result = load(tpm, work, &key);
    if (result != TSS2_RC_SUCCESS) return result;
    result = tss.Esys_HMAC(tpm->esys, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &text,
                           TPM2_ALG_SHA256, &digest);
    if (result == TSS2_RC_SUCCESS && digest->size != 32) result = TSS2_BASE_RC_GENERAL_FAILURE;
    if (result == TSS2_RC_SUCCESS) memcpy(work->out, digest->buffer, 32);
    tss.Esys_Free(digest);
    tss.Esys_FlushContext(tpm->esys, key);
    return result;
}

static enum sk_status hmac(struct sk_key_store *store, const char *name, struct sk_span text,
                           uint8_t digest[32], char reason[256]) {
    struct tpm *tpm = SK_CONTAINER(store, struct tpm, store);
    struct work work = {.run = run_hmac, .name = name, .in = text};
    enum sk_status status = load_key(tpm, &work, reason);
    if (!status) status = run(tpm, &work, reason);
    if (!status) memcpy(digest, work.out, 32);
    explicit_bzero(&work.out, sizeof work.out);
    return status;
}

/* ---- pairs ---- */

static void put_right(uint8_t to[COORDINATE], const TPM2B_ECC_PARAMETER *number) {
    memset(to, 0, COORDINATE);
    if (number->size <= COORDINATE)
        memcpy(to + COORDINATE - number->size, number->buffer, number->size);
}

static TSS2_RC run_sign(struct tpm *tpm, struct work *work) {
    TPM2B_DIGEST digest = {.size = COORDINATE};
    TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256};
    TPMT_TK_HASHCHECK unchecked = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
    TPMT_SIGNATURE *signature = NULL;
    ESYS_TR key;
    /* A shorter digest is the same number with zeros in front; a longer one was cut. */
    memset(digest.buffer, 0, COORDINATE);
    memcpy(digest.buffer + COORDINATE - work->in.n, work->in.p, work->in.n);
    TSS2_RC result = load(tpm, work, &key);
    if (result != TSS2_RC_SUCCESS) return result;
    result = tss.Esys_Sign(tpm->esys, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest,
                           &scheme, &unchecked, &signature);
    if (result == TSS2_RC_SUCCESS) {
        put_right(work->out, &signature->signature.ecdsa.signatureR);
        put_right(work->out + COORDINATE, &signature->signature.ecdsa.signatureS);
    }
    tss.Esys_Free(signature);
    tss.Esys_FlushContext(tpm->esys, key);
    return result;
}

/* What signs for a pair: it keeps the wrapped key, so that a new one of the same name is another
 * pair. */
struct signer {
    struct tpm *tpm;
    char *name;
    struct work work;
};

static bool delegate_sign(void *arg, enum key_signing how, struct sk_span from,
                          struct sk_buffer *to) {
    struct signer *signer = arg;
    char reason[256];
    if (how != KEY_SIGNS_EC || from.n > COORDINATE) return false;
    signer->work.in = from;
    if (run(signer->tpm, &signer->work, reason)) {
        SK_SELDOM(SK_LEVEL_ERROR, "keys", "%s", reason);
        return false;
    }
    return sk_buffer_append(to, sk_span(signer->work.out, 2 * COORDINATE)) == SK_OK;
}

static void free_signer(void *arg) {
    struct signer *signer = arg;
    free(signer->name);
    free(signer);
}

static enum sk_status delegate(struct tpm *tpm, const struct work *work, EVP_PKEY **pair,
                               char reason[256]) {
    uint8_t point[1 + 2 * COORDINATE] = {4};
    struct signer *signer = SK_NEW(struct signer);
    signer->tpm = tpm;
    signer->name = sk_span_dup(sk_span_z(work->name));
    signer->work = *work;
    signer->work.name = signer->name;
    signer->work.run = run_sign;
    put_right(point + 1, &work->public.publicArea.unique.ecc.x);
    put_right(point + 1 + COORDINATE, &work->public.publicArea.unique.ecc.y);
    *pair = key_delegate_ec(
        &(struct key_delegate){.arg = signer, .sign = delegate_sign, .free = free_signer},
        NID_X9_62_prime256v1, sk_span(point, sizeof point));
    return *pair ? SK_OK
                 : key_refuse(reason, SK_MALFORMED, "The key '%.30s' in %.150s is no pair.",
                              work->name, tpm->folder);
}

static enum sk_status make_pair(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                                char reason[256]) {
    struct work work = {
        .name = name,
        .public.publicArea = {
            .type = TPM2_ALG_ECC,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = OWN_KEY | TPMA_OBJECT_SENSITIVEDATAORIGIN,
            .parameters.eccDetail = {
                .symmetric.algorithm = TPM2_ALG_NULL,
                .scheme = {.scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256},
                .curveID = TPM2_ECC_NIST_P256,
                .kdf.scheme = TPM2_ALG_NULL}}};
    enum sk_status status = make_key(store, &work, reason);
    return status ? status : delegate(SK_CONTAINER(store, struct tpm, store), &work, pair, reason);
}

static enum sk_status load_pair(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                                char reason[256]) {
    struct tpm *tpm = SK_CONTAINER(store, struct tpm, store);
    struct work work = {.name = name};
    enum sk_status status = load_key(tpm, &work, reason);
    return status ? status : delegate(tpm, &work, pair, reason);
}

/* ---- life ---- */

static void close_tpm(struct sk_key_store *store) {
    struct tpm *tpm = SK_CONTAINER(store, struct tpm, store);
    let_go(tpm);
    free(tpm->folder);
    free(tpm->tcti);
    if (tpm->owner_auth) explicit_bzero(tpm->owner_auth, strlen(tpm->owner_auth));
    free(tpm->owner_auth);
    free(tpm);
}

static const struct key_store_ops tpm_ops = {.kind = "tpm",
                                             .make_secret = make_secret,
                                             .hmac = hmac,
                                             .make_pair = make_pair,
                                             .pair = load_pair,
                                             .close = close_tpm};

enum sk_status key_tpm_open(struct sk_io *io, const struct sk_key_store_options *options,
                            struct sk_key_store **store, char reason[256]) {
    enum sk_status status = load_libraries(reason);
    if (!status && options->owner_auth && strlen(options->owner_auth) > sizeof(TPMU_HA))
        status = key_refuse(reason, SK_INVALID, "A TPM's authorization has at most %zu bytes.",
                            sizeof(TPMU_HA));
    if (status) return status;
    struct tpm *tpm = SK_NEW(struct tpm);
    tpm->store.ops = &tpm_ops;
    tpm->store.io = io;
    tpm->parent = ESYS_TR_NONE;
    tpm->folder = sk_text_dup(options->folder);
    tpm->tcti = sk_text_dup(options->tcti);
    tpm->owner_auth = sk_text_dup(options->owner_auth);
    status = open_tpm(tpm, reason);
    if (status) {
        close_tpm(&tpm->store);
        return status;
    }
    *store = &tpm->store;
    return SK_OK;
}
