/* Codecs without I/O: MQTT, HTTP, SAS tokens. Bytes in, packets out; packets in, bytes out. */
#ifndef SK_WIRE_H
#define SK_WIRE_H

#include "wire/http.h"
#include "wire/http_router.h"
#include "wire/mqtt.h"
#include "wire/sas.h"

#endif
