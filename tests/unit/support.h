/*
 * What the unit tests share: tables whose failing row is named, text captured from a FILE,
 * repeatable noise, and a directory that is gone afterwards.
 */
#ifndef UNIT_SUPPORT_H
#define UNIT_SUPPORT_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* For one row of a table: the failure says which. */
#define CHECK_ROW(name, condition)                                                                 \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("row \"%s\": not so: %s", (name), #condition);                    \
	} while (0)

/* strcmp() that takes NULL; two of them are the same. */
static inline bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* A copy of exactly @len bytes, without a NUL behind it: the sanitizers and valgrind then see
 * a read that goes past its end. Freed by the caller. */
static inline char *exact_copy(const char *data, size_t len)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, data, len);
	return copy;
}

/* --- text that a function writes to a FILE ---------------------------------------------------- */

struct capture {
	FILE *file;
	char *text; /* after capture_end() */
	size_t len;
};

static inline void capture_begin(struct capture *capture)
{
	*capture = (struct capture){ 0 };
	capture->file = open_memstream(&capture->text, &capture->len);
	assert_non_null(capture->file);
}

static inline const char *capture_end(struct capture *capture)
{
	fclose(capture->file);
	capture->file = NULL;
	return capture->text;
}

static inline void capture_release(struct capture *capture)
{
	if (capture->file)
		fclose(capture->file);
	free(capture->text);
	*capture = (struct capture){ 0 };
}

/* --- noise: the same in every run --------------------------------------------------------------- */

struct noise {
	uint64_t state;
};

static inline uint64_t noise_next(struct noise *noise)
{
	/* splitmix64 */
	uint64_t z = (noise->state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Fewer than @max bytes into @buf, most of them out of @alphabet (what the parser under test
 * cares for), the others any but NUL; ends with NUL. */
static inline size_t noise_text(struct noise *noise, const char *alphabet, char *buf, size_t max)
{
	size_t len = noise_next(noise) % max;
	size_t letters = strlen(alphabet);

	for (size_t i = 0; i < len; i++) {
		uint64_t draw = noise_next(noise);

		buf[i] = draw % 8 ? alphabet[(draw >> 8) % letters] : (char)(1 + (draw >> 8) % 255);
	}
	buf[len] = '\0';
	return len;
}

/* --- a directory of the test's own --------------------------------------------------------------- */

struct workdir {
	char path[64];
};

static char workdir_left[64]; /* "": none */

/* What a test that failed left behind. */
static inline void workdir_clean_up(void)
{
	DIR *stream = *workdir_left ? opendir(workdir_left) : NULL;
	struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		if (unlinkat(dirfd(stream), entry->d_name, 0) && entry->d_name[0] != '.')
			unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR);
	}
	if (stream)
		closedir(stream);
	rmdir(workdir_left);
	*workdir_left = '\0';
}

/* One at a time. */
static inline void workdir_make(struct workdir *dir)
{
	static bool registered;

	if (!registered)
		registered = !atexit(workdir_clean_up);
	workdir_clean_up();
	snprintf(dir->path, sizeof(dir->path), "/tmp/unit-XXXXXX");
	assert_non_null(mkdtemp(dir->path));
	snprintf(workdir_left, sizeof(workdir_left), "%s", dir->path);
}

/* @ret_path: room for 128 bytes */
static inline const char *workdir_file(const struct workdir *dir, const char *name, char *ret_path)
{
	snprintf(ret_path, 128, "%s/%s", dir->path, name);
	return ret_path;
}

static inline void workdir_write(const struct workdir *dir, const char *name, const char *data,
				 size_t len)
{
	char path[128];
	FILE *file = fopen(workdir_file(dir, name, path), "we");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* The directory and the files in it; it must hold nothing else. */
static inline void workdir_remove(struct workdir *dir)
{
	workdir_clean_up();
	assert_int_equal(access(dir->path, F_OK), -1);
}

#endif
