#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

void secret_set(struct secret *secret, const char *data)
{
	char *copy = mem_strdup(data);

	secret_release(secret);
	if (copy) {
		secret->data = copy;
		secret->len = strlen(copy);
	}
}

void secret_release(struct secret *secret)
{
	if (secret->data) {
		explicit_bzero(secret->data, secret->len);
		free(secret->data);
	}
	*secret = (struct secret){ 0 };
}

void secret_move(struct secret *to, struct secret *from)
{
	secret_release(to);
	*to = *from;
	*from = (struct secret){ 0 };
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	unsigned char diff = 0;

	if (!secret_is_set(a) || !secret_is_set(b) || a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		diff |= (unsigned char)(a->data[i] ^ b->data[i]);
	return diff == 0;
}
