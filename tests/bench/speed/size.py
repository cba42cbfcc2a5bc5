"""Does a large database cost throughput? The same service over many branches and over few, in turn."""

from . import contest, rows


class _Named:
    def __init__(self, ours, name):
        self.name = name
        self.target = ours.target
        self.forget_logs = ours.forget_logs


def run(world, options, say):
    with world.database() as few, world.database() as many:
        say(f"{options.many:,} branches and {options.few:,}")
        rows.fill(few, options.few)
        rows.fill(many, options.many)
        [size] = many.one("SELECT pg_database_size(current_database())")
        with world.service(few, 1, options.few) as small, world.service(many, 1, options.many) as large:
            seen = contest.throughput([_Named(small, "few"), _Named(large, "many")], options, say)
    return {"few": {"branches": options.few, **seen["few"]},
            "many": {"branches": options.many, "database_bytes": size, **seen["many"]},
            "ratio": seen["many"]["median"] / seen["few"]["median"]}
