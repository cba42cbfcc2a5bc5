#include "support.h"

#include "store/db_url.h"

static void only_local_hosts_and_tls_are_safe_from_readers(void **state)
{
	static const struct {
		const char *url;
		bool plain;
	} rows[] = {
		{ "dbname=d", false },
		{ "host=/run/postgresql dbname=d", false },
		{ "postgresql://%2Frun%2Fpostgresql/d", false },
		{ "postgresql://localhost/d", false },
		{ "postgresql://127.0.0.1:5433/d", false },
		{ "postgresql://[::1]/d", false },
		{ "postgresql://a,localhost/d", true },
		{ "postgresql://localhost,a/d", true },
		{ "postgresql://127.example.com/d", true },
		{ "host=localhost hostaddr=192.0.2.1 dbname=d", true },
		{ "host=db.example.com hostaddr=127.0.0.1 dbname=d", false },
		{ "postgresql://db.example.com/d", true },
		{ "postgresql://db.example.com/d?sslmode=disable", true },
		{ "postgresql://db.example.com/d?sslmode=allow", true },
		{ "postgresql://db.example.com/d?sslmode=prefer", true },
		{ "postgresql://db.example.com/d?sslmode=require", false },
		{ "postgresql://db.example.com/d?sslmode=verify-ca", false },
		{ "postgresql://db.example.com/d?sslmode=verify-full", false },
		{ "service=tokens", true },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i].url, db_url_may_be_plaintext(rows[i].url) == rows[i].plain);
}

static void libpqs_environment_counts(void **state)
{
	setenv("PGSSLMODE", "verify-full", 1);
	assert_false(db_url_may_be_plaintext("postgresql://db.example.com/d"));
	unsetenv("PGSSLMODE");
	setenv("PGHOST", "db.example.com", 1);
	assert_true(db_url_may_be_plaintext("dbname=d"));
	unsetenv("PGHOST");
}

static void a_password_is_found_wherever_it_stands(void **state)
{
	static const char *const with[] = { "postgresql://u:p@h/d", "postgresql://h/d?password=p",
					    "host=h password=p", "host=h sslpassword=p" };
	static const char *const without[] = { "postgresql://u@h/d", "postgresql://u:@h/d",
					       "host=h user=password" };

	for (size_t i = 0; i < COUNT(with); i++)
		CHECK_ROW(with[i], db_url_has_password(with[i]));
	for (size_t i = 0; i < COUNT(without); i++)
		CHECK_ROW(without[i], !db_url_has_password(without[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_password_is_found_wherever_it_stands),
		cmocka_unit_test(only_local_hosts_and_tls_are_safe_from_readers),
		cmocka_unit_test(libpqs_environment_counts),
	};

	return cmocka_run_group_tests_name("db_url", tests, NULL, NULL);
}
