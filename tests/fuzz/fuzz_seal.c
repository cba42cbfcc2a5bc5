/* Sealed values: what was sealed opens to what it was, there and only there; no text that was not
 * made by the key opens, and none that differs from what was made in a single byte. Input: a line of
 * plain text, a line of edits (pairs of a position and a mask), then a text to open.
 *
 * libFuzzer puts into later inputs what it saw being compared, whole sealed texts among it. So the
 * keys that open the input's text never seal anything, and what is sealed has a key of its own. */
#include "fuzz.h"

#include "crypto/seal.h"

#define SEALING_KEY "fuzz-target-sealing-key-0123456789abcdef"
#define KEY "fuzz-target-secret-key-0123456789abcdef"
#define OLD_KEY "fuzz-target-previous-key-0123456789abcdef"

static const struct seal_place PLACE = { "tokens", "refresh_token", "42" };
static const struct seal_place OTHER_PLACE = { "tokens", "refresh_token", "43" };

static bool opens(const struct keyring *keyring, const struct seal_place *place, const char *text)
{
	struct secret plain = { 0 };
	enum err err = unseal(keyring, place, text, &plain);

	FUZZ_CHECK(!err == (plain.data != NULL)); /* untouched on failure */
	FUZZ_CHECK(!err || err == ERR_SECRET_KEY_UNKNOWN || err == ERR_SEALED_VALUE_DAMAGED ||
		   err == ERR_SEALED_VALUE_MALFORMED || err == ERR_LIMIT);
	secret_release(&plain);
	return !err;
}

static void check_edited(const struct keyring *keyring, const char *text,
			 const struct fuzz_input *edits)
{
	char *edited = strdup(text);
	size_t len = strlen(text);

	for (size_t i = 0; i + 1 < edits->size; i += 2) {
		size_t at = edits->data[i] % len;

		/* A NUL cuts it short. */
		edited[at] = (char)(edited[at] ^ edits->data[i + 1]);
	}
	FUZZ_CHECK(opens(keyring, &PLACE, edited) == !strcmp(edited, text));
	free(edited);
}

static void check_sealed(const struct keyring *keyring, const char *plain,
			 const struct fuzz_input *edits)
{
	struct secret opened = { 0 };
	char *text = NULL;

	FUZZ_CHECK(seal(keyring, &PLACE, plain, &text) == ERR_OK);
	FUZZ_CHECK(seal_is_current(keyring, text));
	FUZZ_CHECK(unseal(keyring, &PLACE, text, &opened) == ERR_OK);
	FUZZ_CHECK(!strcmp(opened.data, plain) && opened.len == strlen(plain));
	FUZZ_CHECK(!opens(keyring, &OTHER_PLACE, text));
	check_edited(keyring, text, edits);
	secret_release(&opened);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct keyring *sealing, *opening;
	struct fuzz_input in = { data, size };
	struct fuzz_input edits = { 0 };
	char *plain = fuzz_line(&in);
	const uint8_t *end = in.size ? memchr(in.data, '\n', in.size) : NULL;
	char *text;

	if (!sealing) {
		FUZZ_CHECK(keyring_new(SEALING_KEY, OLD_KEY, &sealing) == ERR_OK);
		FUZZ_CHECK(keyring_new(KEY, OLD_KEY, &opening) == ERR_OK);
	}
	edits = (struct fuzz_input){ in.data, end ? (size_t)(end - in.data) : in.size };
	free(fuzz_line(&in));
	text = fuzz_rest(&in);
	check_sealed(sealing, plain, &edits);
	FUZZ_CHECK(!opens(opening, &PLACE, text));
	free(plain);
	free(text);
	return 0;
}
