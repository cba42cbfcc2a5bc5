#include "support.h"

#include "base/envfile.h"

/* Reads @text as a file; what was said of it is in @capture. */
static enum err read_text(const char *text, size_t len, struct capture *capture,
			  struct envfile *ret_file)
{
	struct workdir dir;
	char path[128];
	enum err err;

	workdir_make(&dir);
	workdir_write(&dir, "env", text, len);
	capture_begin(capture);
	err = envfile_read(workdir_file(&dir, "env", path), capture->file, ret_file);
	capture_end(capture);
	workdir_remove(&dir);
	return err;
}

static const struct {
	const char *line;
	const char *value; /* of NAME; NULL: not set */
} rows[] = {
	{ "NAME=value", "value" },
	{ "NAME=value\n", "value" },
	{ "NAME=value\r\n", "value" },
	{ "  NAME = value \t\r\n", "value" },
	{ "NAME=", "" },
	{ "NAME=\"\"", "" },
	{ "NAME=\"  kept  \"", "  kept  " },
	{ "NAME='kept \"too\"'", "kept \"too\"" },
	{ "NAME=\"", "\"" },
	{ "NAME='unlike\"", "'unlike\"" },
	{ "NAME=\"one pair only\"\"", "one pair only\"" },
	{ "NAME=a=b=c", "a=b=c" },
	{ "NAME=$HOME ${X} `id` \\n", "$HOME ${X} `id` \\n" },
	{ "NAME=a # no comment", "a # no comment" },
	{ "# NAME=value", NULL },
	{ "   # NAME=value", NULL },
	{ "\n\n   \n\t\r\n", NULL },
	{ "", NULL },
	{ "OTHER=value", NULL },
	{ "NAME2=value", NULL },
	{ "name=value", NULL },
	{ "NAME=first\nNAME=second\n", "second" },
	{ "NAME=h\xc3\xa9", "h\xc3\xa9" },
};

static void takes_lines_as_systemd_and_docker_write_them(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(envfile_release) struct envfile file = { 0 };
		CLEANUP(capture_release) struct capture capture;

		CHECK_ROW(rows[i].line,
			  read_text(rows[i].line, strlen(rows[i].line), &capture, &file) == ERR_OK);
		CHECK_ROW(rows[i].line, same_text(envfile_get(&file, "NAME"), rows[i].value));
		CHECK_ROW(rows[i].line, capture.len == 0);
	}
}

static void every_wrong_line_is_named_by_its_number(void **state)
{
	static const char text[] = "GOOD=1\nno setting\n# fine\n=secret\nA B=2\nexport C=3\n";
	CLEANUP(capture_release) struct capture capture;
	struct envfile file = { .count = 77 };

	assert_int_equal(read_text(text, strlen(text), &capture, &file), ERR_CONFIG);
	assert_int_equal(file.count, 77); /* untouched */
	assert_non_null(strstr(capture.text, ": line 2 is no NAME=VALUE\n"));
	assert_non_null(strstr(capture.text, ": line 4 is no NAME=VALUE\n"));
	assert_non_null(strstr(capture.text, ": line 5 is no NAME=VALUE\n"));
	assert_non_null(strstr(capture.text, ": line 6 is no NAME=VALUE\n"));
	assert_null(strstr(capture.text, "line 1 "));
	assert_null(strstr(capture.text, "line 3 "));
	assert_null(strstr(capture.text, "secret"));
}

static void a_file_that_is_not_there_is_a_fault(void **state)
{
	CLEANUP(capture_release) struct capture capture;
	struct envfile file = { 0 };

	capture_begin(&capture);
	assert_int_equal(envfile_read("/nonexistent/env", capture.file, &file), ERR_CONFIG);
	assert_string_equal(capture_end(&capture),
			    "/nonexistent/env: cannot be read: No such file or directory\n");
}

static void a_directory_is_a_fault(void **state)
{
	CLEANUP(capture_release) struct capture capture;
	struct envfile file = { 0 };

	capture_begin(&capture);
	assert_int_equal(envfile_read("/", capture.file, &file), ERR_CONFIG);
	assert_string_equal(capture_end(&capture), "/: cannot be read: Is a directory\n");
}

static void takes_64_kib_and_no_more(void **state)
{
	CLEANUP(envfile_release) struct envfile file = { 0 };
	CLEANUP(capture_release) struct capture good;
	CLEANUP(capture_release) struct capture bad;
	char *text = malloc(65537);

	memset(text, '#', 65537);
	snprintf(text + 65536 - 8, 9, "\nNAME=12");
	text[65536] = '#';
	assert_int_equal(read_text(text, 65536, &good, &file), ERR_OK);
	assert_string_equal(envfile_get(&file, "NAME"), "12");
	envfile_release(&file);
	assert_int_equal(read_text(text, 65537, &bad, &file), ERR_CONFIG);
	assert_non_null(strstr(bad.text, "over 64 KiB"));
	free(text);
}

static void a_nul_byte_is_a_fault(void **state)
{
	CLEANUP(capture_release) struct capture capture;
	struct envfile file = { 0 };

	/* What stands behind it would be passed over in silence. */
	assert_int_equal(read_text("A=1\n\0\nNAME=2\n", 13, &capture, &file), ERR_CONFIG);
	assert_non_null(strstr(capture.text, "has a NUL byte"));
}

static void an_empty_one_has_nothing(void **state)
{
	struct envfile file = { 0 };

	assert_null(envfile_get(&file, "NAME"));
	envfile_release(&file);
}

static void noise_does_no_harm(void **state)
{
	struct noise noise = { 2 };
	char text[256];

	for (int i = 0; i < 300; i++) {
		CLEANUP(envfile_release) struct envfile file = { 0 };
		CLEANUP(capture_release) struct capture capture;
		size_t len = noise_text(&noise, "NAME==\n\n\r #\"' \t", text, sizeof(text));
		enum err err = read_text(text, len, &capture, &file);

		assert_true(err == ERR_OK || err == ERR_CONFIG);
		assert_int_equal(err == ERR_OK, capture.len == 0);
		envfile_get(&file, "NAME");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_lines_as_systemd_and_docker_write_them),
		cmocka_unit_test(every_wrong_line_is_named_by_its_number),
		cmocka_unit_test(a_file_that_is_not_there_is_a_fault),
		cmocka_unit_test(a_directory_is_a_fault),
		cmocka_unit_test(takes_64_kib_and_no_more),
		cmocka_unit_test(a_nul_byte_is_a_fault),
		cmocka_unit_test(an_empty_one_has_nothing),
		cmocka_unit_test(noise_does_no_harm),
	};

	return cmocka_run_group_tests_name("envfile", tests, NULL, NULL);
}
