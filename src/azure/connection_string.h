/* Connection strings: `HostName=…;DeviceId=…;SharedAccessKey=…`.
 *
 * Parts are separated by ';', a name ends at the first '='; names are case-sensitive, empty parts
 * are skipped, as is white space around names and values (people copy it along). */
#ifndef SK_AZURE_CONNECTION_STRING_H
#define SK_AZURE_CONNECTION_STRING_H

#include "base/base.h"
#include "model/identity.h"

/* Spans into the parsed text; empty: not there. */
struct sk_connection_string {
    struct sk_span host_name;
    struct sk_span device_id;
    struct sk_span module_id;
    struct sk_span shared_access_key; /* base64 */
    struct sk_span shared_access_key_name;
    struct sk_span shared_access_signature;
    struct sk_span gateway_host_name;
    bool x509; /* x509=true */
};

/* SK_MALFORMED with a sentence that names the part but shows no secret: unknown name, a name
 * twice, no '=', no HostName, a module without a device, a key that is not base64, a control
 * character. */
enum sk_status sk_connection_string_parse(struct sk_span text, struct sk_connection_string *parts,
                                          char error[SK_MODEL_ERROR_MAX]);
/* Appends the text form, in the order that Azure's tools write. */
void sk_connection_string_format(struct sk_buffer *to, const struct sk_connection_string *parts);

#endif
