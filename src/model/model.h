/* The domain without I/O: identities, messages, twins, requests and refusals. */
#ifndef SK_MODEL_MODEL_H
#define SK_MODEL_MODEL_H

#include "model/c2d.h"
#include "model/error.h"
#include "model/identity.h"
#include "model/message.h"
#include "model/request.h"
#include "model/twin.h"

#endif
