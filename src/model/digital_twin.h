/* Digital twins of Plug and Play: another view of a device twin, by components and properties.
 *
 * A component is an object with the member "__t": "c". A writable property's wanted value is in
 * desired; its device acknowledges it in reported by {"value", "ac", "av", "ad"}. What the model
 * says is not known here. Pure functions. Reference: docs/protocols/service-api.md, section 3. */
#ifndef SK_MODEL_DIGITAL_TWIN_H
#define SK_MODEL_DIGITAL_TWIN_H

#include "model/twin.h"

/* {"$dtId", properties and components, "$metadata": {"$model", …}}; a new reference. */
json_t *sk_digital_twin_json(const struct sk_twin *twin, const struct sk_identity *identity);
/* What a JSON patch (RFC 6902: add, replace, remove) of the digital twin is as a patch of desired
 * properties; a new reference. NULL: it is not valid, for the reason in `error`. */
json_t *sk_digital_twin_patch(const json_t *operations, const struct sk_twin *twin,
                              char error[SK_MODEL_ERROR_MAX]);
/* The same change as its watchers hear of it: a JSON patch of the digital twin, for what these
 * patches of sections (or NULL) have touched; `twin` is as it is behind them. A new reference,
 * maybe to an empty array. */
json_t *sk_digital_twin_changes(const struct sk_twin *twin, const struct sk_identity *identity,
                                const json_t *desired, const json_t *reported);

#endif
