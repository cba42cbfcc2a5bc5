#include "base/key_strength.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/banned.h"

#define CHARS_MIN 32
#define DISTINCT_MIN 10

/* As they stand in templates and tutorials; compared without case, and letters and digits only.
 * Each is so long that it is in no random key. */
static const char *const placeholders[] = {
	"changeme",    "changethis",   "developmentonly", "examplekey",  "insecure",
	"placeholder", "pleasechange", "replaceme",       "replacethis", "replacewith",
	"secretkey",   "supersecret",  "yoursecret",
};

static bool has_placeholder(const char *key, size_t len)
{
	char plain[256];
	size_t n = 0;

	for (size_t i = 0; i < len && n < sizeof(plain) - 1; i++) {
		if (isalnum((unsigned char)key[i]))
			plain[n++] = (char)tolower((unsigned char)key[i]);
	}
	plain[n] = '\0';
	for (size_t i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++) {
		if (strstr(plain, placeholders[i]))
			return true;
	}
	return false;
}

static size_t distinct_chars(const char *key, size_t len)
{
	bool seen[256] = { false };
	size_t count = 0;

	for (size_t i = 0; i < len; i++) {
		count += !seen[(unsigned char)key[i]];
		seen[(unsigned char)key[i]] = true;
	}
	return count;
}

/* Is it one piece over and over, the last one perhaps cut short? */
static bool is_repetition(const char *key, size_t len)
{
	for (size_t period = 1; period <= len / 2; period++) {
		if (!memcmp(key, key + period, len - period))
			return true;
	}
	return false;
}

/* Do most characters follow from the one before, up or down, as in abcdef or 987654? */
static bool is_sequence(const char *key, size_t len)
{
	size_t steps = 0;

	for (size_t i = 1; i < len; i++)
		steps += key[i] - key[i - 1] == 1 || key[i] - key[i - 1] == -1;
	return steps > len / 2;
}

const char *key_weakness(const char *key)
{
	size_t len = strlen(key);

	if (has_placeholder(key, len))
		return "is a placeholder that everybody knows";
	if (len < CHARS_MIN)
		return "is shorter than 32 characters";
	if (distinct_chars(key, len) < DISTINCT_MIN)
		return "has fewer than 10 different characters";
	if (is_repetition(key, len))
		return "is a repetition";
	return is_sequence(key, len) ? "is a sequence" : NULL;
}
