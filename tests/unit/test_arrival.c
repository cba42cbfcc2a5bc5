#include "support.h"

#include "http/arrival.h"

#define HEADER(type, content, padding) "\1" type "\0\1\0" content padding "\0"
#define BEGIN HEADER("\1", "\10", "\0") "\0\1\0\0\0\0\0\0"
#define PARAMS HEADER("\4", "\4", "\2") "\1\1ab--"
#define NO_PARAMS HEADER("\4", "\0", "\0")
#define BODY HEADER("\5", "\3", "\0") "abc"
#define END HEADER("\5", "\0", "\0")
#define PADDED_END HEADER("\5", "\0", "\1") "-"
#define ABORT HEADER("\2", "\0", "\0")
#define OTHER_VERSION "\2\5\0\1\0\0\0\0"
#define ROW(bytes_, whole_)                                                                        \
	{                                                                                          \
		.name = #bytes_, .bytes = (bytes_), .len = sizeof(bytes_) - 1, .whole = (whole_)   \
	}

static void a_request_is_whole_with_the_end_of_its_body(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		bool whole;
	} rows[] = {
		ROW("", false),
		ROW(BEGIN, false),
		ROW(BEGIN PARAMS, false),
		ROW(BEGIN PARAMS NO_PARAMS, false),
		ROW(BEGIN PARAMS NO_PARAMS BODY, false),
		ROW(BEGIN PARAMS NO_PARAMS BODY END, true),
		ROW(BEGIN PARAMS NO_PARAMS END, true),
		ROW(BEGIN PARAMS NO_PARAMS PADDED_END, true),
		ROW(BEGIN PARAMS NO_PARAMS END BEGIN, true), /* the next one is no matter */
		ROW(BEGIN ABORT, true),
		ROW(OTHER_VERSION, true),
		ROW(BEGIN OTHER_VERSION, true),
		ROW(BEGIN PARAMS "\5", false), /* body's bytes are no records */
		ROW(BEGIN HEADER("\4", "\10", "\0") END, false),
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i].name, arrival_is_whole((const unsigned char *)rows[i].bytes,
							 rows[i].len) == rows[i].whole);
}

/* Looked at through memory that ends where they end, for the sanitizers and valgrind. */
static void no_shorter_begin_of_a_request_is_whole(void **state)
{
	static const char request[] = BEGIN PARAMS NO_PARAMS BODY PADDED_END;
	size_t whole = sizeof(request) - 1;

	for (size_t len = 0; len <= whole; len++) {
		unsigned char *copy = malloc(len ? len : 1);

		memcpy(copy, request, len);
		assert_int_equal(arrival_is_whole(copy, len), len == whole);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_whole_with_the_end_of_its_body),
		cmocka_unit_test(no_shorter_begin_of_a_request_is_whole),
	};

	return cmocka_run_group_tests_name("arrival", tests, NULL, NULL);
}
