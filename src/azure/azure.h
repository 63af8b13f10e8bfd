/* Azure's names on wires: topics, addresses, connection strings, and messages as AMQP writes them. */
#ifndef SK_AZURE_AZURE_H
#define SK_AZURE_AZURE_H

#include "azure/amqp_address.h"
#include "azure/amqp_mapping.h"
#include "azure/connection_string.h"
#include "azure/http_paths.h"
#include "azure/mqtt_topic.h"

#endif
