/*
 * Bytes on the worker's socket, through libfcgi: nothing but whole FastCGI records comes back, and
 * one reply for each request that was read.
 *
 * Only nginx can write to that socket (mode 0660), so libfcgi's own limits are taken as they are:
 * it allocates what a parameter's lengths claim, up to twice 2 GiB, before it reads it, and aborts
 * when malloc() fails. Inputs that claim more than PARAM_MAX are left out here for that reason; in a
 * worker such a claim costs address space until the connection ends.
 */
#include "served.h"

#define PARAM_MAX (1 << 20)

enum record_type {
	BEGIN_REQUEST = 1,
	END_REQUEST = 3,
	PARAMS = 4,
	STDOUT = 6,
	STDERR = 7,
	GET_VALUES = 9,
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

static size_t param_len(struct fuzz_input *in)
{
	size_t len = fuzz_byte(in);

	if (len & 0x80) {
		len = (len & 0x7f) << 24;
		len |= (size_t)fuzz_byte(in) << 16;
		len |= (size_t)fuzz_byte(in) << 8;
		len |= fuzz_byte(in);
	}
	return len;
}

/* Does the stream of parameters in @in claim one that is longer than PARAM_MAX? */
static bool claims_too_much(struct fuzz_input in)
{
	while (in.size) {
		size_t name = param_len(&in);
		size_t value = param_len(&in);

		if (name + value > PARAM_MAX)
			return true;
		if (name + value > in.size)
			return false;
		in.data += name + value;
		in.size -= name + value;
	}
	return false;
}

/* Looks at every stream that libfcgi could read: from each record of parameters on, those of the
 * same request up to its end; and a question for values, which is one record of its own. */
static bool is_too_much(struct fuzz_input in)
{
	uint8_t *stream = malloc(in.size ? in.size : 1);
	struct record first, next;
	bool found = false;

	FUZZ_CHECK(stream != NULL);
	while (!found && next_record(&in, &first)) {
		struct fuzz_input rest = in;
		size_t size = first.size;

		if (first.type == GET_VALUES)
			found = claims_too_much((struct fuzz_input){ first.content, first.size });
		if (first.type != PARAMS)
			continue;
		memcpy(stream, first.content, size);
		while (next_record(&rest, &next)) {
			if (next.type == PARAMS && next.id == first.id) {
				memcpy(stream + size, next.content, next.size);
				size += next.size;
			}
		}
		found = claims_too_much((struct fuzz_input){ stream, size });
	}
	free(stream);
	return found;
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

	if (size > SERVED_INPUT_MAX || is_too_much((struct fuzz_input){ data, size }))
		return -1;
	if (!served.conn)
		served_start(&served);
	served_take(&served, data, size);
	check_output(&served);
	return 0;
}
