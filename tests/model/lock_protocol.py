"""A model of how src/domain/refresh.c, attempt.c and outcome.c refresh one row, small enough to visit every state of it.

Processes on any hosts, one row, one provider. A state is everything that matters at one moment; successors() names
every single step that some party can make from there. What can happen in any order does happen in every order.

The parties:
  a process   START: reads the row, whenever its caller comes; WANT: waits for the row's lock; LOCKED: reads again
              under it; CALL: the request is on its way; TAKEN: the provider has done it, the answer is on its way;
              COMMIT: UPDATE and COMMIT are to be sent; FAILED: the failure is to be stored; SETTLE: the connection
              was lost, what the provider gave is stored where grant_version still matches; REREAD: it did not match,
              whose is the row?; DONE; DEAD. Its caller is answered at the latest when it is DONE. ORPHAN: DEAD, but
              its request may still reach the provider.
  provider    does one request as one step, at any time up to CALL_TICKS after it was sent. Rotating, it spends the
              refresh token with it, and ends the grant when a spent one comes again (RFC 9700 section 4.14.2).
  disturbers  as often as the budget says: a crash of a process anywhere (its lock is free at once; a request on its
              way may still be done), a connection lost at COMMIT (done or not done), a request or answer lost on the
              wire, the token expiring again, a new consent.
  time        a tick passes only when nobody has something to do at once: what is waited for is another's lock or the
              provider.
"""

from collections import deque, namedtuple

WAIT_TICKS = 2  # REFRESH_WAIT_MS
CALL_TICKS = 3  # GOOGLE_TIMEOUT_MS: longer than callers wait
LEASE_TICKS = 2  # of the mutation: shorter than the call

# access: number of the token; refresh: (grant, number), None when it was lost; revived: valid again without a consent
Row = namedtuple("Row", "access fresh refresh version valid failed revived", defaults=(False,))
# live: the refresh token that works; issued: access tokens so far
Provider = namedtuple("Provider", "live dead issued")
# token: what it will send; brought: (access, refresh or None), or an error; said: what its caller was told
Process = namedtuple("Process", "pc age call_age version token brought said lost")
Budget = namedtuple("Budget", "crashes losses drops expiries consents")
# lock: index of the holder or None; stored: access tokens that were ever committed; calls: requests sent
# excused: something happened between a request and its commit that no protocol can make good
State = namedtuple("State", "row provider lock lock_age processes budget stored calls excused")

Protocol = namedtuple(
    "Protocol",
    "rotating keeps_refresh_token rereads lease checks_version death_counts bounded waiters_ask answers_after_commit"
    " locks",
    defaults=(True, True, False, True, True, True, False, True, True),
)
NO_BUDGET = Budget(0, 0, 0, 0, 0)
UNDER_WAY = ("CALL", "TAKEN")
AT_ONCE = ("LOCKED", "COMMIT", "FAILED", "REREAD")
OVER = ("DONE", "DEAD", "ORPHAN")


def initial(processes, budget):
    """An expired token, its good grant, and callers who will come."""
    return State(
        row=Row(0, False, (0, 0), 1, True, False),
        provider=Provider((0, 0), False, 0),
        lock=None, lock_age=0,
        processes=(Process("START", 0, 0, 0, None, None, None, False),) * processes,
        budget=budget, stored=frozenset({0}), calls=0, excused=False,
    )


def put(state, index, **changes):
    processes = list(state.processes)
    processes[index] = processes[index]._replace(**changes)
    return state._replace(processes=tuple(processes))


def spend(state, what):
    return state._replace(budget=state.budget._replace(**{what: getattr(state.budget, what) - 1}))


def unlocked(state, index):
    return state._replace(lock=None, lock_age=0) if state.lock == index else state


def finish(state, index, said):
    """The process is done; a caller who has had an answer gets no second one."""
    process = state.processes[index]
    return put(unlocked(state, index), index, pc="DONE", said=process.said or said, token=None, brought=None,
               version=0, call_age=0)


# --- the provider ---------------------------------------------------------------------------------


def provide(protocol, provider, token):
    """One request to refresh: (provider, what it brings)."""
    grant, _ = token or (None, None)
    if token != provider.live or provider.dead:
        # Of an older grant it is refused; a spent one of this grant ends it.
        reused = grant == provider.live[0] and token != provider.live
        return provider._replace(dead=provider.dead or reused), "invalid_grant"
    issued = provider.issued + 1
    if not protocol.rotating:
        return provider._replace(issued=issued), (issued, None)
    live = (grant, token[1] + 1)
    return provider._replace(live=live, issued=issued), (issued, live)


# --- the steps of a process -----------------------------------------------------------------------


def send(state, index, token):
    return put(state._replace(calls=state.calls + 1), index, pc="CALL", call_age=0, token=token,
               version=state.row.version)


def judge(state, index):
    """What refresh.c's token_check() and token_judge() say of the row: the answer, or None: it must be refreshed."""
    row = state.row
    if not row.valid:
        return ("reauthorization", None)
    if row.fresh:
        return ("token", row.access)
    return ("error", None) if row.failed else None


def updated(protocol, row, brought):
    """UPDATE tokens SET …, refresh_token = COALESCE($3, refresh_token)"""
    access, refresh = brought
    return Row(access, True, refresh if refresh or not protocol.keeps_refresh_token else row.refresh,
               row.version + 1, True, False, row.revived or not row.valid)


def committed(state, row):
    return state._replace(row=row, stored=state.stored | {row.access})


def lock_is_free(protocol, state):
    return state.lock is None or not protocol.locks


def steps_of(protocol, state, index):
    """Every step the process itself can make now: (name, state)."""
    process = state.processes[index]
    row = state.row
    if process.pc == "START":
        said = judge(state, index)
        yield ("reads", finish(state, index, said) if said else put(state, index, pc="WANT", token=row.refresh))
    elif process.pc == "WANT":
        if lock_is_free(protocol, state):
            yield ("locks", put(state._replace(lock=index, lock_age=0), index, pc="LOCKED"))
        elif timer_is_due(protocol, process):
            yield ("gives up waiting", send(state, index, process.token) if protocol.waiters_ask
                   else finish(state, index, ("in progress", None)))
    elif process.pc == "LOCKED":
        said = judge(state, index) if protocol.rereads else None
        if said:
            yield ("finds it done", finish(state, index, said))
        else:
            yield ("asks", send(state, index, row.refresh if protocol.rereads else process.token))
    elif process.pc in UNDER_WAY:
        if process.pc == "TAKEN":
            yield ("hears", heard(protocol, state, index))
        if timer_is_due(protocol, process):
            yield ("answers early", put(state, index, said=("in progress", None)))
    elif process.pc == "COMMIT":
        done = committed(state, updated(protocol, row, process.brought))
        yield ("commits", finish(done, index, ("token", process.brought[0])))
        if state.budget.losses:
            lost = spend(state, "losses")
            yield ("loses the connection before COMMIT",
                   put(unlocked(lost, index)._replace(excused=True), index, pc="SETTLE", lost=True))
            lost = spend(done, "losses")
            yield ("loses the connection after COMMIT", put(unlocked(lost, index), index, pc="SETTLE", lost=True))
    elif process.pc == "FAILED":
        dead = process.brought == "invalid_grant"
        # What another process has still to settle belongs to the grant that has just died.
        version = row.version + (dead and protocol.death_counts)
        row = row._replace(valid=row.valid and not dead, failed=True, version=version)
        yield ("stores the failure",
               finish(state._replace(row=row), index, ("reauthorization" if dead else "error", None)))
    elif process.pc == "SETTLE" and lock_is_free(protocol, state):
        if row.version == process.version or not protocol.checks_version:
            done = committed(state, updated(protocol, row, process.brought))
            yield ("settles", finish(done, index, ("token", process.brought[0])))
        else:
            yield ("finds another version", put(state, index, pc="REREAD"))
    elif process.pc == "REREAD":
        mine = row.access == process.brought[0]
        yield ("reads again", finish(state, index, ("token", row.access) if mine else ("in progress", None)))


def heard(protocol, state, index):
    process = state.processes[index]
    if process.brought == "invalid_grant":
        return put(state, index, pc="FAILED", token=None)
    state = put(state, index, pc="COMMIT", token=None)
    if protocol.answers_after_commit or process.said:
        return state
    return put(state, index, said=("token", process.brought[0]))


def timer_is_due(protocol, process):
    return protocol.bounded and process.said is None and process.age >= WAIT_TICKS


# --- everybody else's steps -----------------------------------------------------------------------


def provider_steps(protocol, state):
    for index, process in enumerate(state.processes):
        if process.pc in ("CALL", "ORPHAN") and process.token:
            provider, brought = provide(protocol, state.provider, process.token)
            after = state._replace(provider=provider)
            if process.pc == "CALL":
                yield (f"the provider does {index}'s request", put(after, index, pc="TAKEN", brought=brought))
            else:
                yield (f"the provider does dead {index}'s request", put(after, index, token=None))
        elif process.pc == "CALL":  # without a refresh token it refuses
            yield (f"the provider refuses {index}", put(state, index, pc="TAKEN", brought="invalid_grant"))


def disturbances(state):
    budget = state.budget
    for index, process in enumerate(state.processes):
        if process.pc in OVER:
            continue
        if budget.crashes:
            dead = unlocked(spend(state, "crashes"), index)
            gone = put(dead, index, pc="DEAD", token=None, brought=None, version=0, call_age=0)
            asked = process.pc in ("TAKEN", "COMMIT", "SETTLE", "REREAD") and process.brought != "invalid_grant"
            yield (f"{index} is killed", gone._replace(excused=state.excused or asked))
            if process.pc == "CALL":
                yield (f"{index} is killed, its request is not",
                       put(dead._replace(excused=True), index, pc="ORPHAN", version=0, call_age=0))
        if budget.drops and process.pc in UNDER_WAY:
            done = process.pc == "TAKEN" and process.brought != "invalid_grant"
            yield (f"{index}'s call fails on the wire",
                   put(spend(state, "drops")._replace(excused=state.excused or done), index,
                       pc="FAILED", token=None, brought="lost"))
    if budget.expiries and state.row.fresh:
        yield ("the token expires", spend(state, "expiries")._replace(row=state.row._replace(fresh=False)))
    if budget.consents and state.lock is None:
        live, access = (state.provider.live[0] + 1, 0), state.provider.issued + 1
        row = Row(access, True, live, state.row.version + 1, True, False)
        after = spend(state, "consents")._replace(provider=Provider(live, False, access), excused=False)
        yield ("a new consent", committed(after, row))


def tick(protocol, state):
    """A state later in time, or None while somebody has something to do at once."""
    for process in state.processes:
        waits_for_lock = process.pc in ("WANT", "SETTLE")
        if process.pc in AT_ONCE or waits_for_lock and lock_is_free(protocol, state):
            return None
        if process.pc not in OVER and process.pc != "SETTLE" and timer_is_due(protocol, process):
            return None
        if process.pc in UNDER_WAY and process.call_age >= CALL_TICKS:
            return None
    if all(process.pc in OVER or process.pc == "START" for process in state.processes):
        return None
    later = []
    for process in state.processes:
        if process.pc not in OVER and process.pc != "START":
            waiting = process.said is None and process.age <= WAIT_TICKS
            process = process._replace(age=process.age + waiting)
        if process.pc in UNDER_WAY:
            process = process._replace(call_age=process.call_age + 1)
        later.append(process)
    state = state._replace(processes=tuple(later))
    if protocol.lease and state.lock is not None:
        state = state._replace(lock_age=state.lock_age + 1)
        if state.lock_age >= LEASE_TICKS:
            state = state._replace(lock=None, lock_age=0)
    return state


def successors(protocol, state):
    for index in range(len(state.processes)):
        for name, after in steps_of(protocol, state, index):
            yield f"{index} {name}", after
    yield from provider_steps(protocol, state)
    yield from disturbances(state)
    later = tick(protocol, state)
    if later:
        yield "time passes", later


# --- what must hold -------------------------------------------------------------------------------


def faults(state, start):
    """The promises that are broken in this state."""
    processes = state.processes
    if sum(process.pc in UNDER_WAY for process in processes) > 1:
        yield "overlap"
    spent = sum(start.budget) - sum(state.budget)
    if state.calls > 1 + spent:
        yield "needless call"
    for process in processes:
        # Nothing bounds SETTLE but the worker's deadline: its caller waits for a database that went away.
        if process.pc != "DEAD" and process.said is None and process.age > WAIT_TICKS and not process.lost:
            yield "late"
        if process.said and process.said[0] == "token" and process.said[1] not in state.stored:
            yield "answered, not stored"
    if any(process.pc != "DONE" and process.pc != "DEAD" for process in processes):
        return
    if state.lock is not None:
        yield "stuck lock"
    lost = state.provider.dead or state.row.refresh != state.provider.live
    if lost or not state.row.valid:
        yield "lost grant, excused" if state.excused else "lost grant"
    if state.row.revived:
        yield "dead grant taken for a live one"


def canonical(state):
    """Processes are alike: of states that differ in their order alone, one is visited."""
    marked = [(process, index == state.lock) for index, process in enumerate(state.processes)]
    marked.sort(key=repr)
    lock = next((index for index, (_, holds) in enumerate(marked) if holds), None)
    return state._replace(processes=tuple(process for process, _ in marked), lock=lock)


Result = namedtuple("Result", "states ends faults")


def explore(protocol, processes=3, budget=NO_BUDGET):
    """Visits every state, nearest first: how many there are, how many of them are ends, and for each promise that is
    broken somewhere the shortest way there."""
    start = canonical(initial(processes, budget))
    came_from = {start: None}
    queue = deque([start])
    found = {}
    ends = 0
    while queue:
        state = queue.popleft()
        for fault in faults(state, start):
            found.setdefault(fault, state)
        is_end = True
        for name, after in successors(protocol, state):
            is_end = False
            after = canonical(after)
            if after not in came_from:
                came_from[after] = (state, name)
                queue.append(after)
        ends += is_end
        if is_end and any(process.pc not in OVER for process in state.processes):
            found.setdefault("deadlock", state)
    return Result(len(came_from), ends, {fault: way(came_from, state) for fault, state in found.items()})


def way(came_from, state):
    names = []
    while came_from[state]:
        state, name = came_from[state]
        names.append(name)
    return names[::-1]
