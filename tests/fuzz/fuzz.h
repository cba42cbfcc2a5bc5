/*
 * What the fuzz targets share. A target is fuzz_<name>.c with LLVMFuzzerTestOneInput(); libFuzzer
 * drives it (scripts/fuzz), or replay.c with the corpus of its name (make check).
 *
 * A target checks what must hold of every input, not only that nothing crashes: FUZZ_CHECK().
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* libFuzzer's interface; 0: the input may join the corpus, -1: it may not. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* What must never be reached. */
#define FUZZ_FAIL(what)                                                                            \
	do {                                                                                       \
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, what);                          \
		abort();                                                                           \
	} while (0)

/* What is left of an input. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

/* The next byte; 0 at the end. */
static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	if (!in->size)
		return 0;
	in->size--;
	return *in->data++;
}

/* The next @len bytes as a string; a NUL among them ends it. In a block of exactly its size, so
 * that the sanitizers see a read past its end. Freed by the caller. */
static inline char *fuzz_text(struct fuzz_input *in, size_t len)
{
	size_t text_len = len ? strnlen((const char *)in->data, len) : 0;
	char *text = malloc(text_len + 1);

	FUZZ_CHECK(text != NULL);
	if (text_len)
		memcpy(text, in->data, text_len);
	text[text_len] = '\0';
	in->data += len;
	in->size -= len;
	return text;
}

/* Everything that is left. */
static inline char *fuzz_rest(struct fuzz_input *in)
{
	return fuzz_text(in, in->size);
}

/* Up to the next newline, which is skipped. */
static inline char *fuzz_line(struct fuzz_input *in)
{
	const uint8_t *end = in->size ? memchr(in->data, '\n', in->size) : NULL;
	char *text = fuzz_text(in, end ? (size_t)(end - in->data) : in->size);

	if (end)
		(void)fuzz_byte(in);
	return text;
}

static inline bool fuzz_is_utf8(const char *s)
{
	return utf8_valid(s, strlen(s), NULL);
}

#endif
