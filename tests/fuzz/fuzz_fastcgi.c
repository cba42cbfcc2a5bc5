/*
 * Bytes on the worker's socket, through libfcgi: nothing but whole FastCGI records comes back, and
 * one reply for each request that was read.
 */
#include "served.h"

enum record_type {
	BEGIN_REQUEST = 1,
	END_REQUEST = 3,
	STDOUT = 6,
	STDERR = 7,
	GET_VALUES_RESULT = 10,
	UNKNOWN_TYPE = 11,
};

#define HEADER 8

struct record {
	uint8_t type;
	uint16_t id;
	const uint8_t *content;
	size_t size;
};

/* False at the end, and for a record that is not whole. */
static bool next_record(struct fuzz_input *in, struct record *ret)
{
	size_t content, whole;

	if (in->size < HEADER)
		return false;
	content = (size_t)in->data[4] << 8 | in->data[5];
	whole = HEADER + content + in->data[6];
	*ret = (struct record){ .type = in->data[1],
				.id = (uint16_t)(in->data[2] << 8 | in->data[3]),
				.content = in->data + HEADER,
				.size = content };
	if (content > in->size - HEADER)
		ret->size = in->size - HEADER;
	if (whole > in->size)
		whole = in->size;
	in->data += whole;
	in->size -= whole;
	return true;
}

static void check_output(const struct served *served)
{
	struct fuzz_input in = { (const uint8_t *)served->output.data, served->output.len };
	struct record record;
	int replies = 0;

	while (in.size) {
		FUZZ_CHECK(in.data[0] == 1);
		FUZZ_CHECK(next_record(&in, &record));
		switch (record.type) {
		case END_REQUEST:
			FUZZ_CHECK(record.size == 8);
			replies += record.content[4] == 0; /* else libfcgi refused it */
			break;
		case STDOUT:
		case STDERR:
		case GET_VALUES_RESULT:
		case UNKNOWN_TYPE:
			break;
		default:
			FUZZ_FAIL("a record that a server does not send");
		}
	}
	FUZZ_CHECK(replies <= served->requests);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct served served;

	if (size > SERVED_INPUT_MAX)
		return -1;
	if (!served.conn)
		served_start(&served);
	served_take(&served, data, size);
	check_output(&served);
	return 0;
}
