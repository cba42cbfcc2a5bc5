/*
 * main() of a fuzz target where libFuzzer is not: runs the target once on every file of its corpus,
 * $top_srcdir/tests/fuzz/corpus/<name>, or on the files that are named. One TAP line for each.
 */
#include <dirent.h>

#include "fuzz.h"

#include "base/cleanup.h"
#include "base/mem.h"

static bool read_file(const char *path, uint8_t **ret_data, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	long size = -1;
	uint8_t *data;

	if (!file)
		return false;
	if (!fseek(file, 0, SEEK_END))
		size = ftell(file);
	rewind(file);
	if (size < 0) {
		fclose(file);
		return false;
	}
	data = malloc(size ? (size_t)size : 1);
	FUZZ_CHECK(data != NULL);
	*ret_size = fread(data, 1, (size_t)size, file);
	*ret_data = data;
	fclose(file);
	return *ret_size == (size_t)size;
}

static bool replay(const char *path, int number)
{
	uint8_t *data = NULL;
	size_t size = 0;
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	bool there = read_file(path, &data, &size);

	printf("# %s\n", name); /* the last one before an abort */
	fflush(stdout);
	if (there)
		(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	printf("%s %d - %s\n", there ? "ok" : "not ok", number, name);
	return there;
}

static int is_entry(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* "…/fuzz_params" → "params" */
static const char *target_name(const char *program)
{
	const char *name = strstr(program, "fuzz_");

	for (const char *next = name; next; next = strstr(next + 1, "fuzz_"))
		name = next;
	return name ? name + strlen("fuzz_") : program;
}

static int replay_corpus(const char *program)
{
	const char *top = getenv("top_srcdir");
	struct dirent **entries = NULL;
	char directory[4096], path[4096 + 256];
	bool good = true;
	int count;

	snprintf(directory, sizeof(directory), "%s/tests/fuzz/corpus/%s", top ? top : ".",
		 target_name(program));
	count = scandir(directory, &entries, is_entry, alphasort);
	if (count <= 0) {
		printf("Bail out! %s: no corpus\n", directory);
		return 1;
	}
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
		good &= replay(path, i + 1);
		free(entries[i]);
	}
	free(entries);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	bool good = true;

	if (argc < 2)
		return replay_corpus(argv[0]);
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++)
		good &= replay(argv[i], i);
	return good ? 0 : 1;
}
