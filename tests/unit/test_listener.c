#include "support.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "server/listener.h"

/* What the functions say goes into the file "log" of the directory. */
struct place {
	struct workdir dir;
	struct log log;
};

static void place_make(struct place *place)
{
	char path[128];

	workdir_make(&place->dir);
	place->log = (struct log){
		.fd = open(workdir_file(&place->dir, "log", path), O_CREAT | O_RDWR | O_CLOEXEC,
			   0600),
		.format = LOG_FORMAT_TEXT,
	};
	assert_true(place->log.fd >= 0);
}

static void place_remove(struct place *place)
{
	close(place->log.fd);
	workdir_remove(&place->dir);
}

static bool was_said(const struct place *place, const char *text)
{
	char said[4096] = "";

	return pread(place->log.fd, said, sizeof(said) - 1, 0) >= 0 && strstr(said, text);
}

static bool connects(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	memcpy(address.sun_path, path, strlen(path) + 1);
	ok = !connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return ok;
}

static void both_sockets_listen_for_the_group(void **state)
{
	struct listeners listeners;
	struct place place;
	struct stat info;
	char path[128];

	place_make(&place);
	assert_int_equal(listeners_open(place.dir.path, &place.log, &listeners), ERR_OK);
	assert_string_equal(listeners.database_path,
			    workdir_file(&place.dir, "database.sock", path));
	assert_true(connects(path));
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0660);
	assert_true(connects(workdir_file(&place.dir, "exchange.sock", path)));
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0660);
	assert_true(fcntl(listeners.database_fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(listeners.database_fd, F_GETFD) & FD_CLOEXEC);
	listeners_close(&listeners);
	assert_int_equal(access(path, F_OK), -1);
	listeners_close(&listeners); /* again does no harm */
	place_remove(&place);
}

static void a_second_service_in_one_directory_is_refused(void **state)
{
	struct listeners first, second = { .dir_fd = 77 };
	struct place place;
	char path[128];

	place_make(&place);
	assert_int_equal(listeners_open(place.dir.path, &place.log, &first), ERR_OK);
	assert_int_equal(listeners_open(place.dir.path, &place.log, &second), ERR_CONFIG);
	assert_int_equal(second.dir_fd, 77); /* untouched */
	assert_true(was_said(&place, "another token-service uses this directory"));
	/* and did the first no harm */
	assert_true(connects(workdir_file(&place.dir, "database.sock", path)));
	listeners_close(&first);
	assert_int_equal(listeners_open(place.dir.path, &place.log, &second), ERR_OK);
	listeners_close(&second);
	place_remove(&place);
}

static void what_a_crashed_service_left_is_replaced(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct listeners listeners;
	struct place place;
	char path[128];

	place_make(&place);
	workdir_file(&place.dir, "database.sock", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd); /* the file stays, nobody listens */
	assert_false(connects(path));
	assert_int_equal(listeners_open(place.dir.path, &place.log, &listeners), ERR_OK);
	assert_true(connects(path));
	listeners_close(&listeners);
	place_remove(&place);
}

static void a_path_too_long_for_a_socket_is_refused(void **state)
{
	struct listeners listeners;
	struct place place;
	char path[256];
	int len;

	place_make(&place);
	/* "/database.sock" makes it 107 bytes, the longest, then one more */
	len = snprintf(path, sizeof(path), "%s/", place.dir.path);
	memset(path + len, 'x', 107 - 14 + 1 - (size_t)len);
	path[107 - 14] = '\0';
	assert_int_equal(listeners_open(path, &place.log, &listeners), ERR_OK);
	listeners_close(&listeners);
	assert_int_equal(rmdir(path), 0);
	path[107 - 14] = 'x';
	path[107 - 14 + 1] = '\0';
	assert_int_equal(listeners_open(path, &place.log, &listeners), ERR_CONFIG);
	assert_true(was_said(&place, "longer than the 107 bytes"));
	assert_int_equal(rmdir(path), 0);
	place_remove(&place);
}

static unsigned mode_of(const char *path)
{
	struct stat info;

	return stat(path, &info) ? 0 : info.st_mode & 07777;
}

/* Its own one lets nginx pass whatever the umask; a service manager's stays as closed as it is. */
static void only_a_directory_of_its_own_gets_a_mode(void **state)
{
	static const unsigned modes[] = { 0700, 0750, 0755 };
	struct listeners listeners;
	struct place place;
	char path[128];
	mode_t before;

	place_make(&place);
	before = umask(0077);
	assert_int_equal(listeners_open(workdir_file(&place.dir, "new", path), &place.log,
					&listeners),
			 ERR_OK);
	umask(before);
	assert_int_equal(mode_of(path), 0755);
	listeners_close(&listeners);
	for (size_t i = 0; i < COUNT(modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(listeners_open(path, &place.log, &listeners), ERR_OK);
		listeners_close(&listeners);
		assert_int_equal(mode_of(path), modes[i]);
	}
	assert_int_equal(rmdir(path), 0);
	place_remove(&place);
}

static void a_directory_that_cannot_be_is_refused(void **state)
{
	struct listeners listeners;
	struct place place;
	char path[128];

	place_make(&place);
	assert_int_equal(listeners_open("/nonexistent/a/b", &place.log, &listeners), ERR_CONFIG);
	assert_true(was_said(&place, "No such file or directory"));
	assert_int_equal(listeners_open(workdir_file(&place.dir, "log", path), &place.log,
					&listeners),
			 ERR_CONFIG);
	assert_true(was_said(&place, "Not a directory"));
	place_remove(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sockets_listen_for_the_group),
		cmocka_unit_test(a_second_service_in_one_directory_is_refused),
		cmocka_unit_test(what_a_crashed_service_left_is_replaced),
		cmocka_unit_test(a_path_too_long_for_a_socket_is_refused),
		cmocka_unit_test(only_a_directory_of_its_own_gets_a_mode),
		cmocka_unit_test(a_directory_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
