/*
 * A string that must not be seen: wiped on release, and a type of its own so that it
 * cannot slip into a log line or an answer by mistake.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct secret {
	char *data; /* NUL-terminated; NULL when unset */
	size_t len;
};

void secret_set(struct secret *secret, const char *data); /* copies; NULL unsets */
void secret_release(struct secret *secret);
void secret_move(struct secret *to, struct secret *from); /* @from is unset after */

/* Equal in constant time; two unset secrets are unequal, so that a check fails closed. */
bool secret_equal(const struct secret *a, const struct secret *b);

static inline bool secret_is_set(const struct secret *secret)
{
	return secret->data && secret->len;
}

#endif
