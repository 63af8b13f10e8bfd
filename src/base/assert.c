#include "base/assert.h"

#include <stdlib.h>

#include "base/note.h"

void sk_assert_failed(const char *what) {
    SK_ERROR("assert", "%s does not hold: this is a mistake in the program", what);
    abort();
}
