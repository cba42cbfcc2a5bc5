#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* @text, decimal digits and nothing else, as a number from @min (not below 0) to @max. false: it is
 * none, and @ret_number stays as it was. */
bool number_parse(const char *text, int64_t min, int64_t max, int64_t *ret_number);

#endif
