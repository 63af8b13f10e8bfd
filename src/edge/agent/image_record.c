#include "edge/agent/image_record.h"

#include "model/json_text.h"

json_t *sk_image_record_read(struct sk_span text) {
    json_t *record = text.n ? sk_json_load(text, 0, NULL) : NULL;
    if (json_is_object(json_object_get(record, "images"))) return record;
    json_decref(record);
    return json_pack("{s:{},s:i}", "images", "cleaned", 0);
}

void sk_image_record_use(json_t *record, const char *name, int64_t now_us) {
    json_object_set_new(json_object_get(record, "images"), name, json_integer(now_us));
}

void sk_image_record_forget(json_t *record, const char *name) {
    json_object_del(json_object_get(record, "images"), name);
}

const char *sk_image_record_old(const json_t *record, int64_t now_us, int64_t age_us) {
    const char *name;
    json_t *used;
    json_object_foreach(json_object_get(record, "images"), name,
                        used) if (json_integer_value(used) <= now_us &&
                                  now_us - json_integer_value(used) >= age_us) return name;
    return NULL;
}

bool sk_image_record_due(const json_t *record, int64_t now_us, int64_t every_us) {
    int64_t cleaned = json_integer_value(json_object_get(record, "cleaned"));
    /* It is the same minute of a day, give or take. */
    return cleaned > now_us || now_us - cleaned >= every_us - SK_DAY_US / 2;
}

int64_t sk_image_next_us(int64_t now_us, unsigned minute) {
    static const int64_t MINUTE_US = INT64_C(60) * 1000000;
    int64_t next = now_us - now_us % SK_DAY_US + minute * MINUTE_US;
    return next > now_us ? next : next + SK_DAY_US;
}
