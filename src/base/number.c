#include "base/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

bool number_parse(const char *text, int64_t min, int64_t max, int64_t *ret_number)
{
	long long value;

	if (!*text || strspn(text, "0123456789") != strlen(text))
		return false;
	errno = 0;
	value = strtoll(text, NULL, 10);
	if (errno || value < min || value > max)
		return false;
	*ret_number = value;
	return true;
}
