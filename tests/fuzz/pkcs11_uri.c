/* Any PKCS#11 URI: refused with a sentence, or read into texts that end. */
#include <stdlib.h>

#include "trust/keys/pkcs11_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_pkcs11_uri uri;
    char reason[256] = "";
    if (sk_pkcs11_uri_parse(sk_span(data, size), &uri, reason)) {
        if (strlen(reason) < 20) abort();
        return 0;
    }
    const char *const texts[] = {uri.token, uri.serial, uri.object, uri.pin, uri.pin_file};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strnlen(texts[i], SK_PKCS11_TEXT_MAX) == SK_PKCS11_TEXT_MAX) abort();
    if (uri.id_size >= SK_PKCS11_TEXT_MAX || uri.slot < -1) abort();
    if (uri.pin_file[0] && uri.pin_file[0] != '/') abort();
    return 0;
}
