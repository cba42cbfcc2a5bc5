#include "support.h"

#include "crypto/digest.h"

/* FIPS 180-4's examples (NIST's "SHA256.pdf"), and the empty string */
static void sha256_gives_the_published_digests(void **state)
{
	static const struct {
		const char *text, *hex;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	char hex[SHA256_HEX_SIZE];

	for (size_t i = 0; i < COUNT(rows); i++) {
		CHECK_ROW(rows[i].text, digest_sha256_hex(rows[i].text, hex) == ERR_OK);
		CHECK_ROW(rows[i].text, !strcmp(hex, rows[i].hex));
	}
}

static void sha256_takes_bytes_with_nul(void **state)
{
	static const unsigned char expected[] = { 0x6e, 0x34, 0x0b, 0x9c }; /* of one NUL byte */
	unsigned char digest[SHA256_SIZE];

	assert_int_equal(digest_sha256("", 1, digest), ERR_OK);
	assert_memory_equal(digest, expected, sizeof(expected));
}

static void check_base64url(const void *data, size_t len, const char *expected)
{
	char *text = malloc(BASE64URL_SIZE(len)); /* exactly as large as promised */

	base64url_encode(data, len, text);
	CHECK_ROW(expected, !strcmp(text, expected));
	CHECK_ROW(expected, strlen(text) + 1 == BASE64URL_SIZE(len));
	free(text);
}

static void check_decoded(const char *text, const char *data, size_t len)
{
	char *copy = exact_copy(text, strlen(text) + 1);
	unsigned char *bytes = malloc(BASE64URL_BYTES(strlen(text)) + 1);
	size_t got = 99;

	CHECK_ROW(text, base64url_decode(copy, bytes, &got));
	CHECK_ROW(text, got == len && !memcmp(bytes, data, len));
	free(bytes);
	free(copy);
}

static void base64url_decodes_what_it_encodes(void **state)
{
	check_decoded("", "", 0);
	check_decoded("Zg", "f", 1);
	check_decoded("Zm8", "fo", 2);
	check_decoded("Zm9v", "foo", 3);
	check_decoded("Zm9vYmFy", "foobar", 6);
	check_decoded("-_-_", "\xfb\xff\xbf", 3);
	check_decoded("AAAAAA", "\0\0\0\0", 4);
}

static void base64url_refuses_every_other_spelling(void **state)
{
	static const char *const rows[] = {
		"Z",    "Zm9vY", "Zg==",   "Zg=",   "Zh",       "Zm9",
		"+/+/", "Zm 9v", "Zm9v\n", "Zm9v.", "\xff\xff",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned char bytes[16];
		size_t len = 99;

		CHECK_ROW(rows[i], !base64url_decode(rows[i], bytes, &len));
		CHECK_ROW(rows[i], len == 99);
	}
}

/* Each in its place, and nothing else: every byte is tried. */
static void base64url_knows_its_alphabet(void **state)
{
	static const char alphabet[] = BASE64URL_ALPHABET;
	unsigned char bytes[3];
	size_t len;

	for (int c = 1; c < 256; c++) {
		const char text[] = { 'A', 'A', 'A', (char)c, '\0' };
		const char *at = strchr(alphabet, c);

		assert_int_equal(base64url_decode(text, bytes, &len), at != NULL);
		if (at)
			assert_int_equal(bytes[2], at - alphabet);
	}
}

static void base64url_gives_the_vectors_of_rfc_4648(void **state)
{
	/* section 10, without the padding */
	check_base64url("", 0, "");
	check_base64url("f", 1, "Zg");
	check_base64url("fo", 2, "Zm8");
	check_base64url("foo", 3, "Zm9v");
	check_base64url("foob", 4, "Zm9vYg");
	check_base64url("fooba", 5, "Zm9vYmE");
	check_base64url("foobar", 6, "Zm9vYmFy");
	/* section 5: the two letters that differ from plain base64 */
	check_base64url("\xfb\xff\xbf", 3, "-_-_");
	check_base64url("\xff\xff\xff\xff", 4, "_____w");
	check_base64url("\0\0\0\0", 4, "AAAAAA");
}

static void pkce_challenge_is_that_of_rfc_7636(void **state)
{
	/* appendix B */
	static const char verifier[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
	unsigned char digest[SHA256_SIZE];
	char challenge[BASE64URL_SIZE(SHA256_SIZE)];

	assert_int_equal(digest_sha256(verifier, strlen(verifier), digest), ERR_OK);
	base64url_encode(digest, sizeof(digest), challenge);
	assert_string_equal(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_the_published_digests),
		cmocka_unit_test(sha256_takes_bytes_with_nul),
		cmocka_unit_test(base64url_gives_the_vectors_of_rfc_4648),
		cmocka_unit_test(base64url_decodes_what_it_encodes),
		cmocka_unit_test(base64url_knows_its_alphabet),
		cmocka_unit_test(base64url_refuses_every_other_spelling),
		cmocka_unit_test(pkce_challenge_is_that_of_rfc_7636),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
