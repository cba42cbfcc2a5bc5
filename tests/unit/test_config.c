#include "support.h"

#include "base/config.h"

#define URL "postgresql://worker:hunter2@db.example.com/tokens"
#define OFFSET(field) offsetof(struct config, field)

/* --- what the options are ------------------------------------------------------------------------ */

static const struct {
	const char *name;
	size_t offset;
	int min, max, fallback; /* -1: it depends on the machine */
} numbers[] = {
	{ "DATABASE_WORKERS", OFFSET(database_workers), 1, 64, -1 },
	{ "EXCHANGE_WORKERS", OFFSET(exchange_workers), 1, 256, 16 },
	{ "GOOGLE_TIMEOUT_MS", OFFSET(google_timeout_ms), 500, 60000, 10000 },
	{ "PORT", OFFSET(port), 1, 65535, 8002 },
	{ "REFRESHERS", OFFSET(refreshers), 0, 64, 2 },
	{ "LOGIN_TICKET_TTL", OFFSET(login_ticket_ttl_s), 60, 2592000, 86400 },
	{ "REFRESH_AHEAD", OFFSET(refresh_ahead_s), 0, 3000, 300 },
	{ "REFRESH_WAIT_MS", OFFSET(refresh_wait_ms), 100, 60000, 4500 },
	{ "STATE_TTL", OFFSET(state_ttl_s), 30, 86400, 600 },
	{ "TOKEN_EXPIRY_BUFFER", OFFSET(token_expiry_buffer_s), 0, 3000, 300 },
};

static const struct {
	const char *name;
	size_t offset;
	const char *choices[5]; /* the names of 0, 1, … */
	int fallback;
} enums[] = {
	{ "API_AUTH", OFFSET(api_auth), { "off", "required" }, API_AUTH_OFF },
	{ "API_AUTH_OFF_IN_PRODUCTION",
	  OFFSET(api_auth_off_in_production),
	  { "refuse", "accept" },
	  0 },
	{ "DATABASE_PLAINTEXT_IN_PRODUCTION",
	  OFFSET(database_plaintext_in_production),
	  { "refuse", "accept" },
	  0 },
	{ "DATABASE_PREPARED_STATEMENTS",
	  OFFSET(database_prepared_statements),
	  { "off", "on" },
	  1 },
	{ "ENVIRONMENT", OFFSET(environment), { "development", "production" }, 0 },
	{ "LOG_FORMAT", OFFSET(log_format), { "json", "text" }, LOG_FORMAT_JSON },
	{ "LOG_LEVEL", OFFSET(log_level), { "DEBUG", "INFO", "WARNING", "ERROR" }, LOG_INFO },
	{ "VERIFY_WORKSPACE_EMAIL", OFFSET(verify_workspace_email), { "off", "on" }, 0 },
};

static const struct {
	const char *name;
	size_t offset;
	const char *fallback;
} urls[] = {
	{ "GOOGLE_AUTH_URL", OFFSET(google_auth_url),
	  "https://accounts.google.com/o/oauth2/v2/auth" },
	{ "GOOGLE_ISSUER", OFFSET(google_issuer), "https://accounts.google.com" },
	{ "GOOGLE_REVOKE_URL", OFFSET(google_revoke_url), "https://oauth2.googleapis.com/revoke" },
	{ "GOOGLE_TOKEN_URL", OFFSET(google_token_url), "https://oauth2.googleapis.com/token" },
};

/* Those that are in none of the tables above; a test below wants every option in this file. */
static const char *const others[] = {
	"ALLOWED_ORIGINS", "DATABASE_ADMIN_URL", "DATABASE_EXCHANGE_URL",
	"DATABASE_URL",    "GOOGLE_CA_FILE",     "GOOGLE_SCOPE",
	"SECRET_KEY",      "SECRET_KEY_PREVIOUS"
};

/* --- helpers ------------------------------------------------------------------------------------- */

static int clean_environment(void **state)
{
	for (size_t i = 0; i < COUNT(numbers); i++)
		unsetenv(numbers[i].name);
	for (size_t i = 0; i < COUNT(enums); i++)
		unsetenv(enums[i].name);
	for (size_t i = 0; i < COUNT(urls); i++)
		unsetenv(urls[i].name);
	for (size_t i = 0; i < COUNT(others); i++)
		unsetenv(others[i]);
	setenv("DATABASE_URL", URL, 1);
	return 0;
}

static void load_good(struct config *config)
{
	CLEANUP(capture_release) struct capture capture;

	capture_begin(&capture);
	if (config_load(NULL, capture.file, config))
		fail_msg("refused: %s", capture_end(&capture));
	capture_end(&capture);
	assert_int_equal(capture.len, 0);
}

static bool loads(const char *name, const char *value)
{
	CLEANUP(capture_release) struct capture capture;
	struct config config;
	enum err err;

	setenv(name, value, 1);
	capture_begin(&capture);
	err = config_load(NULL, capture.file, &config);
	capture_end(&capture);
	if (!err)
		config_release(&config);
	clean_environment(NULL);
	/* a fault is exactly one line, which begins with the variable's name */
	if (err) {
		assert_memory_equal(capture.text, name, strlen(name));
		assert_ptr_equal(strchr(capture.text, '\n'), capture.text + capture.len - 1);
	} else {
		assert_int_equal(capture.len, 0);
	}
	return !err;
}

static int int_at(const struct config *config, size_t offset)
{
	int value;

	memcpy(&value, (const char *)config + offset, sizeof(value));
	return value;
}

static const char *text_at(const struct config *config, size_t offset)
{
	const char *value;

	memcpy(&value, (const char *)config + offset, sizeof(value));
	return value;
}

/* Loads with one variable set; released by the caller. */
static void load_with(const char *name, const char *value, struct config *config)
{
	setenv(name, value, 1);
	load_good(config);
	clean_environment(NULL);
}

/* --- tests ----------------------------------------------------------------------------------------- */

static void defaults_are_the_documented_ones(void **state)
{
	CLEANUP(config_release) struct config config = { 0 };

	load_good(&config);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		if (numbers[i].fallback >= 0)
			CHECK_ROW(numbers[i].name,
				  int_at(&config, numbers[i].offset) == numbers[i].fallback);
	}
	for (size_t i = 0; i < COUNT(enums); i++)
		CHECK_ROW(enums[i].name, int_at(&config, enums[i].offset) == enums[i].fallback);
	for (size_t i = 0; i < COUNT(urls); i++)
		CHECK_ROW(urls[i].name,
			  same_text(text_at(&config, urls[i].offset), urls[i].fallback));
	assert_in_range(config.database_workers, 1, 64);
	assert_string_equal(config.database_url.data, URL);
	assert_null(config.google_ca_file);
	assert_string_equal(config.google_scope, "https://www.googleapis.com/auth/business.manage");
}

static void numbers_are_taken_up_to_both_ends_of_their_range(void **state)
{
	for (size_t i = 0; i < COUNT(numbers); i++) {
		const int ends[] = { numbers[i].min, numbers[i].max };

		for (size_t k = 0; k < COUNT(ends); k++) {
			CLEANUP(config_release) struct config config = { 0 };
			char text[16];

			snprintf(text, sizeof(text), "%d", ends[k]);
			load_with(numbers[i].name, text, &config);
			CHECK_ROW(numbers[i].name, int_at(&config, numbers[i].offset) == ends[k]);
		}
	}
}

static void numbers_outside_their_range_are_refused(void **state)
{
	for (size_t i = 0; i < COUNT(numbers); i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", numbers[i].min - 1);
		CHECK_ROW(numbers[i].name, !loads(numbers[i].name, text));
		snprintf(text, sizeof(text), "%d", numbers[i].max + 1);
		CHECK_ROW(numbers[i].name, !loads(numbers[i].name, text));
	}
}

static void what_is_no_number_is_refused(void **state)
{
	static const char *const bad[] = {
		"x",     "12x",        "1.5",          "0x10",
		"1e2",   "--5",        "1 0",          "99999999999999999999",
		"1,000", "4294967297", "one per core", "18446744073709551617",
	};

	for (size_t i = 0; i < COUNT(numbers); i++) {
		for (size_t k = 0; k < COUNT(bad); k++)
			CHECK_ROW(bad[k], !loads(numbers[i].name, bad[k]));
	}
}

static void enums_take_their_names_in_any_case(void **state)
{
	for (size_t i = 0; i < COUNT(enums); i++) {
		for (int k = 0; enums[i].choices[k]; k++) {
			CLEANUP(config_release) struct config config = { 0 };
			CLEANUP(config_release) struct config other = { 0 };
			char swapped[32] = "";

			for (size_t c = 0; enums[i].choices[k][c]; c++)
				swapped[c] = (char)(enums[i].choices[k][c] ^ 0x20);
			load_with(enums[i].name, enums[i].choices[k], &config);
			CHECK_ROW(enums[i].choices[k], int_at(&config, enums[i].offset) == k);
			load_with(enums[i].name, swapped, &other);
			CHECK_ROW(swapped, int_at(&other, enums[i].offset) == k);
		}
		CHECK_ROW(enums[i].name, !loads(enums[i].name, "nonsense"));
		CHECK_ROW(enums[i].name, !loads(enums[i].name, "0"));
		CHECK_ROW(enums[i].name, !loads(enums[i].name, " json"));
	}
}

static void urls_must_be_absolute(void **state)
{
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
		{ "https://provider.example.com/x", true },
		{ "http://127.0.0.1:4000", true },
		{ "http://[::1]:4000/x?y=z", true },
		{ "provider.example.com", false },
		{ "//provider.example.com", false },
		{ "ftp://provider.example.com", false },
		{ "https://", false },
		{ "https:///x", false },
		{ "https://provider.example.com/#fragment", false },
		{ "https://provider.example.com/a b", false },
		{ "https://provider.example.com/\"", false },
	};

	for (size_t i = 0; i < COUNT(urls); i++) {
		for (size_t k = 0; k < COUNT(rows); k++)
			CHECK_ROW(rows[k].value,
				  loads(urls[i].name, rows[k].value) == rows[k].good);
	}
}

static void origins_are_as_a_browser_writes_them(void **state)
{
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
		{ "https://app.example.com", true },
		{ "http://localhost:3000", true },
		{ "http://[::1]:3000", true },
		{ "http://[::1]", true },
		{ " https://a.example , http://b.example:8080,", true },
		{ "*", false },
		{ "null", false },
		{ "https://a.example,*", false },
		{ "https://*.example.com", false },
		{ "https://App.example.com", false },
		{ "https://app.example.com/", false },
		{ "https://app.example.com/x", false },
		{ "https://app.example.com:", false },
		{ "https://app.example.com:0", false },
		{ "https://app.example.com:123456", false },
		{ "https://app.example.com:80x", false },
		{ "https://user@app.example.com", false },
		{ "https://-app.example.com", false },
		{ "https://app.example.com\"; }", false },
		{ "https://", false },
		{ "https://,a", false },
		{ "https://[::1", false },
		{ "https://[]", false },
		{ "https://[::1]x", false },
		{ "ftp://app.example.com", false },
		{ "app.example.com", false },
		{ " , ", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i].value, loads("ALLOWED_ORIGINS", rows[i].value) == rows[i].good);
}

/* It is named in a comma list once it is the previous one. */
static void a_secret_key_has_no_blanks_or_commas(void **state)
{
	static const struct {
		const char *value, *key; /* NULL: refused */
	} rows[] = {
		{ "", CONFIG_DEVELOPMENT_KEY },
		{ "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef" },
		{ "postgresql+psycopg2://x", "postgresql+psycopg2://x" }, /* taken as it is */
		{ "one,two", NULL },
		{ "one two", NULL },
		{ "one\ttwo", NULL },
		{ "one ", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(capture_release) struct capture capture;
		struct config config = { 0 };
		enum err err;

		setenv("SECRET_KEY", rows[i].value, 1);
		setenv("SECRET_KEY_PREVIOUS", "old, older", 1);
		capture_begin(&capture);
		err = config_load(NULL, capture.file, &config);
		capture_end(&capture);
		CHECK_ROW(rows[i].value, err == (rows[i].key ? ERR_OK : ERR_CONFIG));
		CHECK_ROW(rows[i].value, same_text(config.secret_key.data, rows[i].key));
		/* said, but not shown */
		CHECK_ROW(rows[i].value, !err == !strstr(capture.text, "SECRET_KEY: "));
		CHECK_ROW(rows[i].value, !err || !strstr(capture.text, rows[i].value));
		CHECK_ROW(rows[i].value,
			  err || same_text(config.secret_key_previous.data, "old, older"));
		config_release(&config);
	}
}

static void empty_means_unset(void **state)
{
	CLEANUP(config_release) struct config config = { 0 };

	setenv("PORT", "", 1);
	setenv("GOOGLE_CA_FILE", "", 1);
	setenv("GOOGLE_ISSUER", "", 1);
	setenv("LOG_LEVEL", "", 1);
	load_good(&config);
	assert_int_equal(config.port, 8002);
	assert_null(config.google_ca_file);
	assert_string_equal(config.google_issuer, "https://accounts.google.com");
	assert_false(loads("DATABASE_URL", ""));
}

static void bare_scopes_are_written_in_full(void **state)
{
	static const struct {
		const char *value, *scope;
	} rows[] = {
		{ "business.manage", "https://www.googleapis.com/auth/business.manage" },
		{ "https://www.googleapis.com/auth/business.manage",
		  "https://www.googleapis.com/auth/business.manage" },
		{ "openid email profile", "openid email profile" },
		{ "  openid   business.manage ",
		  "openid https://www.googleapis.com/auth/business.manage" },
		{ "a https://b.example/c",
		  "https://www.googleapis.com/auth/a https://b.example/c" },
		{ "openid2", "https://www.googleapis.com/auth/openid2" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(config_release) struct config config = { 0 };

		load_with("GOOGLE_SCOPE", rows[i].value, &config);
		CHECK_ROW(rows[i].value, same_text(config.google_scope, rows[i].scope));
	}
	assert_false(loads("GOOGLE_SCOPE", "   "));
}

static void sqlalchemys_spelling_of_the_database_is_taken(void **state)
{
	static const struct {
		const char *value, *url;
	} rows[] = {
		{ "postgresql+psycopg2://u:p@h:5432/d", "postgresql://u:p@h:5432/d" },
		{ "postgresql://u:p@h:5432/d", "postgresql://u:p@h:5432/d" },
		{ "postgres://h/d", "postgres://h/d" },
		{ "host=/run/postgresql dbname=d", "host=/run/postgresql dbname=d" },
		{ "postgresql://a,b/d?target_session_attrs=read-write",
		  "postgresql://a,b/d?target_session_attrs=read-write" },
		{ "dbname=postgresql+psycopg2://", "dbname=postgresql+psycopg2://" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(config_release) struct config config = { 0 };

		load_with("DATABASE_URL", rows[i].value, &config);
		CHECK_ROW(rows[i].value, same_text(config.database_url.data, rows[i].url));
	}
}

static void a_database_url_too_long_to_rewrite_is_refused(void **state)
{
	static const char begin[] = "postgresql+psycopg2://h/";
	char *url = malloc(9001);

	memset(url, 'x', 9000);
	url[9000] = '\0';
	memcpy(url, begin, sizeof(begin) - 1);
	assert_false(loads("DATABASE_URL", url));
	free(url);
}

static void the_issuer_is_the_origin_of_the_auth_url(void **state)
{
	static const struct {
		const char *auth_url, *issuer;
	} rows[] = {
		{ "http://127.0.0.1:4000/auth", "http://127.0.0.1:4000" },
		{ "https://provider.example.com", "https://provider.example.com" },
		{ "https://provider.example.com?x=/y", "https://provider.example.com" },
		{ "http://[::1]:4000/a/b", "http://[::1]:4000" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(config_release) struct config config = { 0 };

		load_with("GOOGLE_AUTH_URL", rows[i].auth_url, &config);
		CHECK_ROW(rows[i].auth_url, same_text(config.google_issuer, rows[i].issuer));
	}
}

static void production_asks_for_keys_unless_told_otherwise(void **state)
{
	static const struct {
		const char *environment, *api_auth;
		int expected;
	} rows[] = {
		{ "development", "", API_AUTH_OFF },
		{ "development", "required", API_AUTH_REQUIRED },
		{ "production", "", API_AUTH_REQUIRED },
		{ "production", "off", API_AUTH_OFF },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(config_release) struct config config = { 0 };

		setenv("ENVIRONMENT", rows[i].environment, 1);
		load_with("API_AUTH", rows[i].api_auth, &config);
		CHECK_ROW(rows[i].environment, config.api_auth == rows[i].expected);
	}
}

static void all_faults_are_told_at_once_and_say_what_is_allowed(void **state)
{
	CLEANUP(capture_release) struct capture capture;
	struct config config = { .port = 77 };

	unsetenv("DATABASE_URL");
	setenv("PORT", "0", 1);
	setenv("DATABASE_WORKERS", "65", 1);
	setenv("LOG_LEVEL", "loud", 1);
	setenv("GOOGLE_TOKEN_URL", "nowhere", 1);
	setenv("GOOGLE_SCOPE", " ", 1);
	capture_begin(&capture);
	assert_int_equal(config_load(NULL, capture.file, &config), ERR_CONFIG);
	assert_string_equal(
		capture_end(&capture),
		"DATABASE_URL: is not set; it is needed: PostgreSQL: a libpq URL or keyword string; "
		"several hosts may be named\n"
		"DATABASE_WORKERS: '65' is not allowed; allowed is a whole number from 1 to 64 "
		"(default one per core)\n"
		"GOOGLE_SCOPE: ' ' is not allowed; allowed is: what is asked for; a name without :// "
		"is taken as https://www.googleapis.com/auth/<name>\n"
		"GOOGLE_TOKEN_URL: 'nowhere' is not allowed; allowed is an absolute http:// or "
		"https:// URL without a fragment\n"
		"LOG_LEVEL: 'loud' is not allowed; allowed is DEBUG or INFO or WARNING or ERROR\n"
		"PORT: '0' is not allowed; allowed is a whole number from 1 to 65535 (default 8002)\n");
	assert_int_equal(config.port, 77); /* untouched */
}

static void no_fault_shows_a_secret(void **state)
{
	CLEANUP(capture_release) struct capture capture;
	struct config config;

	setenv("DATABASE_URL", "postgresql://worker:hunter2@h/\xff", 1);
	setenv("PORT", "x", 1);
	capture_begin(&capture);
	assert_int_equal(config_load(NULL, capture.file, &config), ERR_CONFIG);
	capture_end(&capture);
	assert_null(strstr(capture.text, "hunter2"));
	assert_non_null(strstr(capture.text, "DATABASE_URL: "));
}

static void values_must_be_utf8(void **state)
{
	assert_false(loads("GOOGLE_CA_FILE", "/\xff"));
	assert_false(loads("GOOGLE_SCOPE", "\xc3"));
	assert_true(loads("GOOGLE_CA_FILE", "/etc/ssl/h\xc3\xa9.pem"));
}

static void the_environment_wins_over_the_file(void **state)
{
	static const char text[] = "DATABASE_URL='host=file'\nPORT=9000\nSTATE_TTL=60\nUNKNOWN=1\n";
	CLEANUP(config_release) struct config config = { 0 };
	struct workdir dir;
	char path[128];

	unsetenv("DATABASE_URL");
	setenv("PORT", "9001", 1);
	workdir_make(&dir);
	workdir_write(&dir, "env", text, strlen(text));
	assert_int_equal(config_load(workdir_file(&dir, "env", path), stderr, &config), ERR_OK);
	workdir_remove(&dir);
	assert_string_equal(config.database_url.data, "host=file");
	assert_int_equal(config.port, 9001);
	assert_int_equal(config.state_ttl_s, 60);
	assert_int_equal(config.exchange_workers, 16);
}

static void a_file_that_cannot_be_read_stops_the_start(void **state)
{
	CLEANUP(capture_release) struct capture capture;
	struct config config;

	capture_begin(&capture);
	assert_int_equal(config_load("/nonexistent/env", capture.file, &config), ERR_CONFIG);
	assert_non_null(strstr(capture_end(&capture), "/nonexistent/env: "));
}

static bool is_in_this_file(const char *name)
{
	bool found = false;

	for (size_t i = 0; i < COUNT(numbers); i++)
		found |= !strcmp(numbers[i].name, name);
	for (size_t i = 0; i < COUNT(enums); i++)
		found |= !strcmp(enums[i].name, name);
	for (size_t i = 0; i < COUNT(urls); i++)
		found |= !strcmp(urls[i].name, name);
	for (size_t i = 0; i < COUNT(others); i++)
		found |= !strcmp(others[i], name);
	return found;
}

static void help_lists_every_option_in_alphabetical_order(void **state)
{
	CLEANUP(capture_release) struct capture capture;
	char last[64] = "", name[64];
	size_t count = 0;

	capture_begin(&capture);
	config_help(capture.file);
	capture_end(&capture);
	for (char *line = capture.text; *line; line = strchr(line, '\n') + 1) {
		assert_int_equal(sscanf(line, " %63s", name), 1);
		CHECK_ROW(name, is_in_this_file(name));
		CHECK_ROW(name, strcmp(last, name) < 0);
		snprintf(last, sizeof(last), "%s", name);
		count++;
	}
	assert_int_equal(count, COUNT(numbers) + COUNT(enums) + COUNT(urls) + COUNT(others));
	assert_non_null(strstr(capture.text, "(default 8002)"));
	assert_non_null(strstr(capture.text, "(required)"));
}

#define TEST(function) cmocka_unit_test_setup(function, clean_environment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_are_the_documented_ones),
		TEST(numbers_are_taken_up_to_both_ends_of_their_range),
		TEST(numbers_outside_their_range_are_refused),
		TEST(what_is_no_number_is_refused),
		TEST(enums_take_their_names_in_any_case),
		TEST(urls_must_be_absolute),
		TEST(origins_are_as_a_browser_writes_them),
		TEST(a_secret_key_has_no_blanks_or_commas),
		TEST(empty_means_unset),
		TEST(bare_scopes_are_written_in_full),
		TEST(sqlalchemys_spelling_of_the_database_is_taken),
		TEST(a_database_url_too_long_to_rewrite_is_refused),
		TEST(the_issuer_is_the_origin_of_the_auth_url),
		TEST(production_asks_for_keys_unless_told_otherwise),
		TEST(all_faults_are_told_at_once_and_say_what_is_allowed),
		TEST(no_fault_shows_a_secret),
		TEST(values_must_be_utf8),
		TEST(the_environment_wins_over_the_file),
		TEST(a_file_that_cannot_be_read_stops_the_start),
		TEST(help_lists_every_option_in_alphabetical_order),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
