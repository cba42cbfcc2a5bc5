/* Environment files and the configuration that is read from them: what is taken reads the same when
 * it is written again, what is not is said by line, and no fault shows a secret. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/config.h"
#include "base/envfile.h"
#include "base/strbuf.h"

#define SECRET "s3cret-of-the-fuzz-target"

/* The file has no name that another program could have in the way. */
struct file {
	int fd;
	char path[64];
};

static void file_make(struct file *file, const void *data, size_t size)
{
	file->fd = memfd_create("env", MFD_CLOEXEC);
	FUZZ_CHECK(file->fd >= 0);
	FUZZ_CHECK(write(file->fd, data, size) == (ssize_t)size);
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
}

static enum err read_file(const void *data, size_t size, struct envfile *ret_file, char **ret_said)
{
	struct file file;
	size_t len = 0;
	FILE *said = open_memstream(ret_said, &len);
	enum err err;

	FUZZ_CHECK(said != NULL);
	file_make(&file, data, size);
	err = envfile_read(file.path, said, ret_file);
	close(file.fd);
	fclose(said);
	FUZZ_CHECK(!err == !len);
	return err;
}

/* Writes the value of every name of @text that looks like one, and reads that. */
static void check_again(const struct envfile *file, const char *name)
{
	CLEANUP(envfile_release) struct envfile again = { 0 };
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(1 << 17);
	const char *value = envfile_get(file, name);
	char *said = NULL;

	if (!value)
		return;
	FUZZ_CHECK(!strchr(value, '\n'));
	strbuf_printf(&text, "OTHER=1\n  %s = '%s'\r\nLAST=2\n", name, value);
	if (text.len < 65536) {
		FUZZ_CHECK(read_file(text.data, text.len, &again, &said) == ERR_OK);
		FUZZ_CHECK(!strcmp(envfile_get(&again, name), value));
		free(said);
	}
}

static void check_config(const uint8_t *data, size_t size)
{
	static const char last[] = "\nDATABASE_URL=postgresql://u:" SECRET "\xff@host/db\n";
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(1 << 17);
	struct config config = { 0 };
	struct file file;
	char *said = NULL;
	size_t len = 0;
	FILE *faults = open_memstream(&said, &len);

	FUZZ_CHECK(faults != NULL);
	strbuf_put(&text, data, size);
	strbuf_put(&text, last, sizeof(last) - 1);
	file_make(&file, text.data, text.len);
	/* The last line is always a fault. */
	FUZZ_CHECK(config_load(file.path, faults, &config) == ERR_CONFIG);
	close(file.fd);
	fclose(faults);
	FUZZ_CHECK(len && said[len - 1] == '\n');
	/* Fuzzers learn what they are compared with: then it stands in the text, perhaps as a port. */
	FUZZ_CHECK(memmem(data, size, SECRET, strlen(SECRET)) || !strstr(said, SECRET));
	free(said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "DATABASE_URL", "GOOGLE_SCOPE", "PORT", "A", "_1" };
	CLEANUP(envfile_release) struct envfile file = { 0 };
	char *said = NULL;

	clearenv();
	if (!read_file(data, size, &file, &said)) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			check_again(&file, names[i]);
	}
	free(said);
	check_config(data, size);
	return 0;
}
