/* What every other folder stands on: spans, memory, maps, lists, text forms and log lines. No I/O,
 * no clock, no threads. */
#ifndef SK_BASE_BASE_H
#define SK_BASE_BASE_H

#include "base/assert.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/note.h"
#include "base/pem.h"
#include "base/span.h"
#include "base/status.h"
#include "base/text.h"

#endif
