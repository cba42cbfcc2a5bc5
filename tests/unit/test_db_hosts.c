#include "support.h"

#include "store/db_internal.h"

static void assert_text(const char *seen, const char *wanted)
{
	if (wanted)
		assert_string_equal(seen, wanted);
	else
		assert_null(seen);
}

static void assert_hosts(const struct db_hosts *hosts, const char *names, const char *addresses,
			 const char *ports)
{
	assert_text(hosts->names, names);
	assert_text(hosts->addresses, addresses);
	assert_text(hosts->ports, ports);
}

static void test_hosts_take_turns_with_their_ports(void **state)
{
	struct db_hosts hosts;

	(void)state;
	db_hosts_init(&hosts, "postgresql://me@db1:1,db2:22,db3:333/base?target_session_attrs=any");
	assert_int_equal(hosts.count, 3);
	assert_hosts(&hosts, "db1,db2,db3", NULL, "1,22,333");
	db_hosts_next(&hosts);
	assert_hosts(&hosts, "db2,db3,db1", NULL, "22,333,1");
	db_hosts_next(&hosts);
	db_hosts_next(&hosts);
	assert_hosts(&hosts, "db1,db2,db3", NULL, "1,22,333");
	db_hosts_release(&hosts);
}

static void test_addresses_are_counted_and_one_port_is_everybodys(void **state)
{
	struct db_hosts hosts;

	(void)state;
	db_hosts_init(&hosts, "hostaddr=10.0.0.1,10.0.0.2 host=a,b port=5432 dbname=base");
	assert_int_equal(hosts.count, 2);
	db_hosts_next(&hosts);
	assert_hosts(&hosts, "b,a", "10.0.0.2,10.0.0.1", "5432");
	db_hosts_release(&hosts);
}

static void test_one_host_or_none_stays(void **state)
{
	static const char *const urls[] = { "host=a", "dbname=base", "postgresql://a/base",
					    "host=/run/postgresql", "no url" };

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct db_hosts hosts;

		db_hosts_init(&hosts, urls[i]);
		assert_int_equal(hosts.count, 1);
		db_hosts_next(&hosts);
		db_hosts_release(&hosts);
	}
}

/* "a,,b": libpq takes the default for one without a name. */
static void test_empty_names_keep_their_place(void **state)
{
	struct db_hosts hosts;

	(void)state;
	db_hosts_init(&hosts, "host=a,,b");
	assert_int_equal(hosts.count, 3);
	db_hosts_next(&hosts);
	assert_hosts(&hosts, ",b,a", NULL, NULL);
	db_hosts_next(&hosts);
	assert_hosts(&hosts, "b,a,", NULL, NULL);
	db_hosts_release(&hosts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts_take_turns_with_their_ports),
		cmocka_unit_test(test_addresses_are_counted_and_one_port_is_everybodys),
		cmocka_unit_test(test_one_host_or_none_stays),
		cmocka_unit_test(test_empty_names_keep_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
