"""What is looked at before anything is served, where the database has no time to be looked at."""

from .processes import wait_until

# Only a warning, so that a start does not depend on the database.
UNASKED = "cannot be asked whether it is ready"
TRIES = 3


def start_in_vain(make_service, env, **options):
    """The Service of a start that ended with 2, without a socket."""
    for _ in range(TRIES):
        service = make_service(env, nginx=False, wait=False, **options)
        wait_until(lambda: service.process.poll() is not None or UNASKED in service.stderr(), 30, "it has looked at the database")
        if UNASKED not in service.stderr():
            break
        service.terminate()
        service.wait_exit()
    service.expected_exit = 2
    assert service.wait_exit() == 2, service.stderr()
    assert not list(service.socket_dir.iterdir())
    return service
