/* Login tickets: what was signed is read back, for its client alone; a text that no key of ours
 * signed is none, and neither is one that differs from what was signed in a single byte. Input: 24
 * bytes for the ticket's numbers, a line of edits (pairs of a position and a mask), then a text.
 *
 * As with sealed values, the key of the input's text never signs anything: libFuzzer puts into
 * later inputs what it saw being compared. */
#include "fuzz.h"

#include "domain/ticket.h"

#define SIGNING_KEY "fuzz-target-signing-key-0123456789abcdef"
#define KEY "fuzz-target-secret-key-0123456789abcdef"

/* As they come from the database: not negative. */
static int64_t number(struct fuzz_input *in)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | fuzz_byte(in);
	return (int64_t)(n & INT64_MAX);
}

static bool is_read(const struct keyring *keyring, const char *text, int64_t client_id)
{
	struct ticket ticket = { .client_id = -1 };
	enum err err = ticket_read(keyring, text, client_id, &ticket);

	FUZZ_CHECK(!err || err == ERR_LOGIN_TICKET_REQUIRED);
	FUZZ_CHECK(ticket.client_id == (err ? -1 : client_id)); /* untouched on failure */
	return !err;
}

static void check_signed(const struct keyring *keyring, const struct ticket *ticket,
			 const struct fuzz_input *edits)
{
	char text[TICKET_SIZE], edited[TICKET_SIZE];
	struct ticket read;

	FUZZ_CHECK(ticket_write(keyring, ticket, text) == ERR_OK);
	FUZZ_CHECK(strlen(text) < TICKET_SIZE);
	FUZZ_CHECK(ticket_read(keyring, text, ticket->client_id, &read) == ERR_OK);
	FUZZ_CHECK(read.client_id == ticket->client_id);
	FUZZ_CHECK(read.expires_at_s == ticket->expires_at_s);
	FUZZ_CHECK(read.consent_version == ticket->consent_version);
	FUZZ_CHECK(!is_read(keyring, text, ticket->client_id ^ 1));
	memcpy(edited, text, sizeof(text));
	for (size_t i = 0; i + 1 < edits->size; i += 2) {
		size_t at = edits->data[i] % strlen(text);

		/* A NUL cuts it short. */
		edited[at] = (char)(edited[at] ^ edits->data[i + 1]);
	}
	FUZZ_CHECK(is_read(keyring, edited, ticket->client_id) == !strcmp(edited, text));
	/* Another way to write the same numbers is another text. */
	snprintf(edited, sizeof(edited), "0%.*s", (int)sizeof(edited) - 2, text);
	FUZZ_CHECK(!is_read(keyring, edited, ticket->client_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct keyring *signing, *reading;
	struct fuzz_input in = { data, size };
	struct fuzz_input edits;
	struct ticket ticket;
	const uint8_t *end;
	char *text;

	if (!signing) {
		FUZZ_CHECK(keyring_new(SIGNING_KEY, NULL, &signing) == ERR_OK);
		FUZZ_CHECK(keyring_new(KEY, NULL, &reading) == ERR_OK);
	}
	ticket.client_id = number(&in);
	ticket.expires_at_s = number(&in);
	ticket.consent_version = number(&in);
	end = in.size ? memchr(in.data, '\n', in.size) : NULL;
	edits = (struct fuzz_input){ in.data, end ? (size_t)(end - in.data) : in.size };
	free(fuzz_line(&in));
	text = fuzz_rest(&in);
	check_signed(signing, &ticket, &edits);
	FUZZ_CHECK(!is_read(reading, text, ticket.client_id));
	free(text);
	return 0;
}
